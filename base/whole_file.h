#ifndef QKSERVE_BASE_WHOLE_FILE_H_
#define QKSERVE_BASE_WHOLE_FILE_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace qkserve {

// Files that are read at once, or written at once from parts that follow one another. They are not
// synced: what must survive the end of the machine goes through FileSystem (core/key_sets/storage).
//
// Errors are the operating system's, naming the file.
using FileParts = absl::Span<const absl::string_view>;

// Reads a file, a device or a pipe to its end. OUT_OF_RANGE: it has more than `bytes_max` bytes.
absl::StatusOr<std::string> ReadFileWhole(const std::string& path, size_t bytes_max);

// Writes the parts to a descriptor, which `name` stands for in errors.
absl::Status WriteTo(int fd, const std::string& name, FileParts parts);

// Overwrites a file, a device or a pipe that is there. Readers may see a part.
absl::Status WriteInPlace(const std::string& path, FileParts parts);

// The choice of WriteFileWhole if no new file can take the place of the old one: its folder takes
// no new file, or it is a mount point.
enum class IfIrreplaceable { kFail, kWriteInPlace };

// Makes or replaces a regular file. Readers of `path` find the old file or the new one, never a
// part. Symbolic links stay, and the file behind them is replaced. An error leaves no other file.
absl::Status WriteFileWhole(const std::string& path, FileParts parts, IfIrreplaceable otherwise);

// The file behind symbolic links; `path` itself if there is none yet.
std::string ResolvedPath(const std::string& path);

}  // namespace qkserve

#endif  // QKSERVE_BASE_WHOLE_FILE_H_
