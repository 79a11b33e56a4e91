#ifndef QKSERVE_BASE_WHOLE_FILE_H_
#define QKSERVE_BASE_WHOLE_FILE_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace qkserve {

// These functions read or write a whole file. The parts of a file are written one after another.
// Files are not synced. Data that must survive a loss of power goes through FileSystem
// (core/key_sets/storage).
//
// Errors are the operating system's and name the file.
using FileParts = absl::Span<const absl::string_view>;

// Reads a file, a device or a pipe to its end. OUT_OF_RANGE: it has more than `bytes_max` bytes.
absl::StatusOr<std::string> ReadFileWhole(const std::string& path, size_t bytes_max);

// Writes the parts to a descriptor. Errors call the descriptor `name`.
absl::Status WriteTo(int fd, const std::string& name, FileParts parts);

// Overwrites an existing file, device or pipe. Readers may see a part of the new bytes.
absl::Status WriteInPlace(const std::string& path, FileParts parts);

// Tells WriteFileWhole what to do if no new file can replace the old one, because the folder takes
// no new file or the old file is a mount point.
enum class IfIrreplaceable { kFail, kWriteInPlace };

// Makes or replaces a regular file. Readers of `path` find the old file or the new file, never a
// part of either. Symbolic links stay, and the file to which they lead is replaced. After an error
// no temporary file is left.
absl::Status WriteFileWhole(const std::string& path, FileParts parts, IfIrreplaceable otherwise);

// Returns the file to which `path` leads through symbolic links, or `path` itself if there is no
// such file yet.
std::string ResolvedPath(const std::string& path);

}  // namespace qkserve

#endif  // QKSERVE_BASE_WHOLE_FILE_H_
