#ifndef QKSERVE_DEMO_TEXT_FILE_H_
#define QKSERVE_DEMO_TEXT_FILE_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace qkserve {

inline constexpr size_t kTextBytesMax = size_t{16} << 20;

struct TextFile {
  std::string text;
  bool complete = true;  // false: the file is longer than the limit, and the rest is left out
};

// NOT_FOUND, PERMISSION_DENIED, ..: the file cannot be read.
// INVALID_ARGUMENT: it is no text, because it holds a zero byte.
absl::StatusOr<TextFile> ReadTextFile(const std::string& path, size_t bytes_max = kTextBytesMax);

}  // namespace qkserve

#endif  // QKSERVE_DEMO_TEXT_FILE_H_
