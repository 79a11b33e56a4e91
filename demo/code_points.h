#ifndef QKSERVE_DEMO_CODE_POINTS_H_
#define QKSERVE_DEMO_CODE_POINTS_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace qkserve {

// The code points of `text`. A byte that is not part of a valid sequence becomes a code point above
// Unicode's range, kInvalidByte + byte, so that different bytes stay different.
inline constexpr char32_t kInvalidByte = 0x110000;
std::u32string DecodeUtf8(absl::string_view text);

// `text` as at most `width_max` characters that are safe to print: control characters (a file may
// hold terminal commands) become spaces, invalid bytes U+FFFD, and what is cut ends in "...".
// Wide characters count as one.
std::string PrintableClip(absl::string_view text, size_t width_max);

}  // namespace qkserve

#endif  // QKSERVE_DEMO_CODE_POINTS_H_
