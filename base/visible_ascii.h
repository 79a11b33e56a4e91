#ifndef QKSERVE_BASE_VISIBLE_ASCII_H_
#define QKSERVE_BASE_VISIBLE_ASCII_H_

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"

namespace qkserve {

// True if the text has only ASCII characters that show ink: no space, no control character. True
// for the empty text.
inline bool IsVisibleAscii(absl::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_isgraph(static_cast<unsigned char>(c)); });
}

}  // namespace qkserve

#endif  // QKSERVE_BASE_VISIBLE_ASCII_H_
