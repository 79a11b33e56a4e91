#ifndef QKSERVE_BASE_UTF8_H_
#define QKSERVE_BASE_UTF8_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace qkserve {

// Bytes of the character of UTF-8 that `text` begins with; 0: it begins with none. Overlong forms
// and surrogates are no characters. Requires a text that is not empty.
size_t Utf8CharacterBytes(absl::string_view text);

// The longest beginning of `text` that has at most `bytes_max` bytes and ends between two
// characters of UTF-8. Text that is not UTF-8 may be cut anywhere.
absl::string_view Utf8Prefix(absl::string_view text, size_t bytes_max);

// True if the text is UTF-8 by RFC 3629: each code point in its shortest form, no surrogates.
bool IsUtf8(absl::string_view text);

// The text with U+FFFD in place of each byte that belongs to no character of UTF-8.
std::string ValidUtf8(absl::string_view text);

}  // namespace qkserve

#endif  // QKSERVE_BASE_UTF8_H_
