#include "demo/utf8.h"

#include <cstdint>

namespace qkserve {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

// Length of the sequence that a lead byte announces; 0 if it cannot lead one.
size_t SequenceBytes(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  if (lead >= 0xF0 && lead < 0xF5) return 4;
  return 0;
}

bool IsScalarValue(char32_t c, size_t bytes) {
  if (bytes == 3 && c < 0x800) return false;
  if (bytes == 4 && c < 0x10000) return false;
  return c < 0x110000 && (c < 0xD800 || c > 0xDFFF);
}

void AppendUtf8(char32_t c, std::string& out) {
  const auto put = [&out](char32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) return put(c);
  if (c < 0x800) {
    put(0xC0 | (c >> 6));
  } else if (c < 0x10000) {
    put(0xE0 | (c >> 12));
    put(0x80 | ((c >> 6) & 0x3F));
  } else {
    put(0xF0 | (c >> 18));
    put(0x80 | ((c >> 12) & 0x3F));
    put(0x80 | ((c >> 6) & 0x3F));
  }
  put(0x80 | (c & 0x3F));
}

// Control characters of ASCII and Latin-1, and the marks that turn the direction of text around.
bool IsControl(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x200B && c <= 0x200F) ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

}  // namespace

std::u32string DecodeUtf8(absl::string_view text) {
  std::u32string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const uint8_t lead = static_cast<uint8_t>(text[i]);
    const size_t bytes = SequenceBytes(lead);
    bool valid = bytes > 0 && bytes <= text.size() - i;
    char32_t c = bytes == 1 ? lead : lead & (0x7F >> bytes);
    for (size_t k = 1; valid && k < bytes; ++k) {
      const uint8_t next = static_cast<uint8_t>(text[i + k]);
      valid = (next & 0xC0) == 0x80;
      c = (c << 6) | (next & 0x3F);
    }
    valid = valid && IsScalarValue(c, bytes);
    result += valid ? c : kInvalidByte + lead;
    i += valid ? bytes : 1;
  }
  return result;
}

std::string PrintableClip(absl::string_view text, size_t width_max) {
  std::u32string characters = DecodeUtf8(text);
  const bool cut = characters.size() > width_max;
  if (cut) characters.resize(width_max > 3 ? width_max - 3 : 0);
  std::string result;
  for (const char32_t c : characters) {
    AppendUtf8(c >= kInvalidByte ? kReplacement : IsControl(c) ? U' ' : c, result);
  }
  if (cut) result.append(width_max > 3 ? 3 : width_max, '.');
  return result;
}

}  // namespace qkserve
