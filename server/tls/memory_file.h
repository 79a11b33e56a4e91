#ifndef QKSERVE_SERVER_TLS_MEMORY_FILE_H_
#define QKSERVE_SERVER_TLS_MEMORY_FILE_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/file_descriptor.h"

namespace qkserve {

// A file that is nowhere but in this process's memory, for a library that reads from a path.
//
// Thread-compatible. The library may read at any time, on any thread.
class MemoryFile {
 public:
  // A file with these contents. UNAVAILABLE: the system has no descriptor or no memory for it.
  static absl::StatusOr<MemoryFile> Create(absl::string_view contents);

  // Takes the contents of `other`, and keeps its own path. A reader that opens the path finds the
  // old contents or the new ones, never a part. Needs neither memory nor a new descriptor.
  // UNAVAILABLE: the system refuses; the old contents stay.
  absl::Status Replace(MemoryFile other);

  // The file's path for this process, the same for as long as the file lives.
  std::string path() const;

 private:
  explicit MemoryFile(FileDescriptor fd) : fd_(std::move(fd)) {}

  FileDescriptor fd_;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_TLS_MEMORY_FILE_H_
