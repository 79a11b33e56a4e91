#include "demo/code_points.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "base/utf8.h"

namespace qkserve {
namespace {

constexpr absl::string_view kReplacement = "\uFFFD";

// True for the control characters of ASCII and Latin-1, and for marks that are invisible or change
// the direction of text.
bool IsControl(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x200B && c <= 0x200F) ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

}  // namespace

std::u32string DecodeUtf8(absl::string_view text) {
  std::u32string result;
  while (!text.empty()) {
    const size_t bytes = Utf8CharacterBytes(text);
    const auto lead = static_cast<uint8_t>(text[0]);
    char32_t c = bytes == 0 ? kInvalidByte + lead : bytes == 1 ? lead : lead & (0x7F >> bytes);
    for (size_t i = 1; i < bytes; ++i) c = c << 6 | (static_cast<uint8_t>(text[i]) & 0x3F);
    result += c;
    text.remove_prefix(std::max<size_t>(bytes, 1));
  }
  return result;
}

std::string PrintableClip(absl::string_view text, size_t width_max) {
  size_t shown = DecodeUtf8(text).size();
  const bool cut = shown > width_max;
  const size_t dots = cut ? std::min<size_t>(width_max, 3) : 0;
  if (cut) shown = width_max > 3 ? width_max - 3 : 0;
  std::string result;
  for (; shown > 0; --shown) {
    const absl::string_view character =
        text.substr(0, std::max<size_t>(Utf8CharacterBytes(text), 1));
    const char32_t c = DecodeUtf8(character)[0];
    absl::StrAppend(&result, c >= kInvalidByte ? kReplacement : IsControl(c) ? " " : character);
    text.remove_prefix(character.size());
  }
  return result.append(dots, '.');
}

}  // namespace qkserve
