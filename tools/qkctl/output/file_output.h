#ifndef QKSERVE_TOOLS_QKCTL_OUTPUT_FILE_OUTPUT_H_
#define QKSERVE_TOOLS_QKCTL_OUTPUT_FILE_OUTPUT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/whole_file.h"

namespace qkserve {

// Writes the `parts`, one after the other, as a whole file. Readers of `path` find the old file or
// the new one, never a part. The file is written in place if no new file can replace it, or if it
// is not a regular file, such as /dev/stdout or a pipe. "-" is standard output.
//
// Errors are the operating system's and name the file.
absl::Status WriteOutput(const std::string& path, FileParts parts);

// Returns OK if writing would succeed, as far as this can be seen without writing. Errors are those
// of WriteOutput.
absl::Status CheckFileOutput(const std::string& path);

// A file that a flag names. The path is empty if the flag is not given.
struct FlagFile {
  absl::string_view flag;
  std::string path;
};

// Checks that a command's flags name different files. INVALID_ARGUMENT: two outputs are one file,
// or an output would overwrite an input. Devices and pipes may be named twice.
absl::Status CheckDistinct(absl::Span<const FlagFile> outputs, absl::Span<const FlagFile> inputs);

// Checks a command's outputs before its work begins, so that no result is lost at the end. Errors
// are those of CheckFileOutput.
absl::Status CheckOutputs(absl::Span<const FlagFile> outputs);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_OUTPUT_FILE_OUTPUT_H_
