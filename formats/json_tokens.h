#ifndef QKSERVE_FORMATS_JSON_TOKENS_H_
#define QKSERVE_FORMATS_JSON_TOKENS_H_

#include <cstdint>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"

namespace qkserve {

// Checks JSON text before a parser reads it, so that parsing takes little memory. A parser keeps a
// string or a number whole and copies it into error messages. It remembers each open array and
// object, too.
//
// Thread-compatible.
class JsonTokens {
 public:
  explicit JsonTokens(int64_t bytes_max, int64_t depth_max = std::numeric_limits<int64_t>::max())
      : bytes_max_(bytes_max), depth_max_(depth_max) {}

  // Checks the next bytes of the text, which may be cut anywhere. Returns false if a string, number
  // or word has more than `bytes_max` bytes, if more than `depth_max` arrays and objects are open,
  // or if there is a NUL. No JSON text has a NUL.
  bool Accept(absl::string_view text) {
    for (const char c : text) {
      if (c == '\0') return false;
      if (in_string_) {
        in_string_ = is_escaped_ || c != '"';
        is_escaped_ = !is_escaped_ && c == '\\';
      } else if (c == '"' || IsBetweenTokens(c)) {
        in_string_ = c == '"';
        bytes_ = 0;
        if (c == '[' || c == '{') ++depth_;
        if (c == ']' || c == '}') --depth_;
        if (depth_ > depth_max_) return false;
        continue;
      }
      if (++bytes_ > bytes_max_) return false;
    }
    return true;
  }

 private:
  static bool IsBetweenTokens(char c) {
    return absl::ascii_isspace(static_cast<unsigned char>(c)) || c == ',' || c == ':' || c == '[' ||
           c == ']' || c == '{' || c == '}';
  }

  const int64_t bytes_max_;
  const int64_t depth_max_;
  int64_t bytes_ = 0;  // bytes of the current token so far
  int64_t depth_ = 0;  // arrays and objects that are open
  bool in_string_ = false;
  bool is_escaped_ = false;  // the last byte was a backslash that escapes the next
};

}  // namespace qkserve

#endif  // QKSERVE_FORMATS_JSON_TOKENS_H_
