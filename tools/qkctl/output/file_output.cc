#include "tools/qkctl/output/file_output.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/file_descriptor.h"
#include "base/invalid_argument.h"

namespace qkserve {
namespace {

using Parts = absl::Span<const absl::string_view>;

absl::Status WriteTo(int fd, const std::string& path, Parts parts) {
  for (absl::string_view bytes : parts) {
    while (!bytes.empty()) {
      const ssize_t count = write(fd, bytes.data(), std::min(bytes.size(), size_t{1} << 30));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot write"));
      bytes.remove_prefix(count);
    }
  }
  return absl::OkStatus();
}

absl::Status WriteAndClose(FileDescriptor* fd, const std::string& path, Parts parts) {
  absl::Status status = WriteTo(fd->get(), path, parts);
  if (status.ok() && fd->Close() != 0) {
    status = absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot write"));
  }
  return status;
}

// The file behind symbolic links, which are to stay; `path` itself where there is none yet.
std::string ResolvedPath(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> resolved(realpath(path.c_str(), nullptr), std::free);
  return resolved == nullptr ? path : std::string(resolved.get());
}

bool IsSpecialFile(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

absl::Status WriteInPlace(const std::string& path, Parts parts) {
  FileDescriptor fd(open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  if (fd.get() < 0) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot open"));
  return WriteAndClose(&fd, path, parts);
}

absl::Status ReplaceFile(const std::string& path, Parts parts) {
  const std::string target = ResolvedPath(path);
  const std::string temporary = absl::StrCat(target, ".tmp.", getpid());
  FileDescriptor fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (fd.get() < 0) {
    const int error = errno;
    // A folder that takes no new file may hold one that can be written.
    if (access(target.c_str(), W_OK) == 0) return WriteInPlace(path, parts);
    return absl::ErrnoToStatus(error, absl::StrCat(path, ": cannot create"));
  }
  absl::Status status = WriteAndClose(&fd, path, parts);
  if (status.ok() && rename(temporary.c_str(), target.c_str()) != 0) {
    // The file is a mount point, which cannot be replaced.
    status = errno == EBUSY ? WriteInPlace(path, parts)
                            : absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot replace"));
  }
  unlink(temporary.c_str());  // unless it was renamed
  return status;
}

}  // namespace

absl::Status WriteFileWhole(const std::string& path, absl::Span<const absl::string_view> parts) {
  if (path == "-") {
    // The descriptor is written to directly: what was printed before must not come behind.
    std::fflush(stdout);
    return WriteTo(STDOUT_FILENO, "standard output", parts);
  }
  return IsSpecialFile(path) ? WriteInPlace(path, parts) : ReplaceFile(path, parts);
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
