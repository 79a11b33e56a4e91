#include "tools/qkctl/output/file_output.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "base/invalid_argument.h"

namespace qkserve {
namespace {

bool IsSpecialFile(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

}  // namespace

absl::Status WriteOutput(const std::string& path, FileParts parts) {
  if (path == "-") {
    // The descriptor is written to directly: what was printed before must not come behind.
    std::fflush(stdout);
    return WriteTo(STDOUT_FILENO, "standard output", parts);
  }
  return IsSpecialFile(path) ? WriteInPlace(path, parts)
                             : WriteFileWhole(path, parts, IfIrreplaceable::kWriteInPlace);
}

absl::Status CheckFileOutput(const std::string& path) {
  if (path == "-") return absl::OkStatus();
  struct stat info;
  const bool exists = stat(path.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) return FormatError(path, "is a folder");
  if (exists && access(path.c_str(), W_OK) == 0) return absl::OkStatus();
  const std::string target = ResolvedPath(path);
  const size_t slash = target.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : target.substr(0, slash + 1);
  if (access(folder.c_str(), W_OK) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot create"));
}

}  // namespace qkserve
