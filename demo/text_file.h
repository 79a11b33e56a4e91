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

// Reads the first `bytes_max` bytes of a file. NOT_FOUND, PERMISSION_DENIED and others: the file
// cannot be read. INVALID_ARGUMENT: the file is not text, because it has a zero byte.
absl::StatusOr<TextFile> ReadTextFile(const std::string& path, size_t bytes_max = kTextBytesMax);

}  // namespace qkserve

#endif  // QKSERVE_DEMO_TEXT_FILE_H_
