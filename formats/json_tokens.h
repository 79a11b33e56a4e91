#ifndef QKSERVE_FORMATS_JSON_TOKENS_H_
#define QKSERVE_FORMATS_JSON_TOKENS_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace qkserve {

// Looks at JSON text before a parser does. A parser keeps a string or a number whole, and copies it
// several times where it complains about it: their length bounds the memory that parsing takes.
//
// Thread-compatible.
class JsonTokens {
 public:
  explicit JsonTokens(int64_t bytes_max) : bytes_max_(bytes_max) {}

  // The next bytes of the text, cut anywhere. False: a string, a number or a word has more than
  // `bytes_max` bytes, or there is a NUL, which no JSON text has.
  bool Accept(absl::string_view text);

 private:
  const int64_t bytes_max_;
  int64_t bytes_ = 0;  // of the token so far
  bool in_string_ = false;
  bool is_escaped_ = false;  // the last byte was a backslash that escapes the next
};

}  // namespace qkserve

#endif  // QKSERVE_FORMATS_JSON_TOKENS_H_
