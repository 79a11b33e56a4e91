#include "formats/json_tokens.h"

#include "absl/strings/ascii.h"

namespace qkserve {
namespace {

bool IsBetweenTokens(char c) {
  return absl::ascii_isspace(static_cast<unsigned char>(c)) || c == ',' || c == ':' || c == '[' ||
         c == ']' || c == '{' || c == '}';
}

}  // namespace

bool JsonTokens::Accept(absl::string_view text) {
  for (const char c : text) {
    if (c == '\0') return false;
    if (in_string_) {
      in_string_ = is_escaped_ || c != '"';
      is_escaped_ = !is_escaped_ && c == '\\';
    } else if (c == '"' || IsBetweenTokens(c)) {
      in_string_ = c == '"';
      bytes_ = 0;
      continue;
    }
    if (++bytes_ > bytes_max_) return false;
  }
  return true;
}

}  // namespace qkserve
