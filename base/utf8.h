#ifndef QKSERVE_BASE_UTF8_H_
#define QKSERVE_BASE_UTF8_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace qkserve {

// How many bytes the character at the beginning of `text`, which is not empty, has. 0 where there
// is none: neither overlong forms nor surrogates are characters.
size_t Utf8CharacterBytes(absl::string_view text);

// The beginning of `text`, of at most `bytes_max` bytes, cut between two characters of UTF-8. Text
// that is not UTF-8 is cut somewhere.
absl::string_view Utf8Prefix(absl::string_view text, size_t bytes_max);

// True if the text is UTF-8 by RFC 3629: each code point in its shortest form, no surrogates.
bool IsUtf8(absl::string_view text);

// The text with U+FFFD in place of each byte that belongs to no character of UTF-8.
std::string ValidUtf8(absl::string_view text);

}  // namespace qkserve

#endif  // QKSERVE_BASE_UTF8_H_
