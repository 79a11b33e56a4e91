#ifndef QKSERVE_DEMO_TEXT_FILE_H_
#define QKSERVE_DEMO_TEXT_FILE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace qkserve {

struct TextLimits {
  size_t lines_max = 20'000;
  size_t line_bytes_max = 4096;  // longer lines are cut
  int64_t bytes_max = 64 << 20;  // reading ends here
};

// The lines of a file that are not blank, without white space at their ends.
struct TextFile {
  std::vector<std::string> lines;
  std::vector<int64_t> numbers;  // number in the file of each line, from 1
  int64_t cut_lines = 0;         // lines longer than line_bytes_max
  bool complete = true;          // false: a limit ended the reading
};

// NOT_FOUND, PERMISSION_DENIED, ..: the file cannot be read.
// INVALID_ARGUMENT: it is no text (a zero byte is in it), or no line has anything in it.
absl::StatusOr<TextFile> ReadTextFile(const std::string& path, const TextLimits& limits = {});

}  // namespace qkserve

#endif  // QKSERVE_DEMO_TEXT_FILE_H_
