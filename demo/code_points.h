#ifndef QKSERVE_DEMO_CODE_POINTS_H_
#define QKSERVE_DEMO_CODE_POINTS_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace qkserve {

// DecodeUtf8 returns the code points of `text`. A byte that is not part of a valid sequence becomes
// kInvalidByte + byte, a number above Unicode's range, so that different bytes stay different.
inline constexpr char32_t kInvalidByte = 0x110000;
std::u32string DecodeUtf8(absl::string_view text);

// Returns at most `width_max` characters of `text` that are safe to print. Control characters
// become spaces, because a file may hold terminal commands. Invalid bytes become U+FFFD. A text
// that is cut ends in "...". Wide characters count as one.
std::string PrintableClip(absl::string_view text, size_t width_max);

}  // namespace qkserve

#endif  // QKSERVE_DEMO_CODE_POINTS_H_
