#ifndef QKSERVE_TOOLS_QKCTL_OUTPUT_FILE_OUTPUT_H_
#define QKSERVE_TOOLS_QKCTL_OUTPUT_FILE_OUTPUT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace qkserve {

// Writes the `parts`, one behind the other, as a whole file: readers of `path` find the old file or
// the new one, never a part. The file is written in place if no new file can take its place, or if
// it is not a regular file, such as /dev/stdout or a pipe. "-" is standard output.
//
// Errors are the operating system's, and name the file.
absl::Status WriteFileWhole(const std::string& path, absl::Span<const absl::string_view> parts);

// OK if WriteFileWhole would succeed, as far as can be seen without writing. Errors are those of
// WriteFileWhole.
absl::Status CheckFileOutput(const std::string& path);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_OUTPUT_FILE_OUTPUT_H_
