#ifndef QKSERVE_BASE_UTF8_H_
#define QKSERVE_BASE_UTF8_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace qkserve {

// Returns how many bytes the UTF-8 character at the beginning of `text` has, or 0 if there is no
// character. Overlong forms and surrogates are no characters. `text` must not be empty.
size_t Utf8CharacterBytes(absl::string_view text);

// Returns the longest beginning of `text` that has at most `bytes_max` bytes and ends between two
// characters of UTF-8. Text that is not UTF-8 may be cut anywhere.
absl::string_view Utf8Prefix(absl::string_view text, size_t bytes_max);

// True if the text is UTF-8 by RFC 3629: each code point in its shortest form, no surrogates.
bool IsUtf8(absl::string_view text);

// Returns the text, with U+FFFD for each byte that belongs to no UTF-8 character.
std::string ValidUtf8(absl::string_view text);

}  // namespace qkserve

#endif  // QKSERVE_BASE_UTF8_H_
