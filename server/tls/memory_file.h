#ifndef QKSERVE_SERVER_TLS_MEMORY_FILE_H_
#define QKSERVE_SERVER_TLS_MEMORY_FILE_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/file_descriptor.h"

namespace qkserve {

// A file that exists only in this process's memory, for a library that reads from a path.
//
// Thread-compatible. The library may read at any time, on any thread.
class MemoryFile {
 public:
  // Makes a file with these contents. UNAVAILABLE: the system has no descriptor or no memory for
  // it.
  static absl::StatusOr<MemoryFile> Create(absl::string_view contents);

  // Takes the contents of `other`. The path stays the same. A reader that opens the path finds all
  // of the old contents or all of the new ones. Needs neither memory nor a new descriptor.
  // UNAVAILABLE: the system refuses, and the old contents stay.
  absl::Status Replace(MemoryFile other);

  // Returns the file's path for this process. It never changes.
  std::string path() const;

 private:
  explicit MemoryFile(FileDescriptor fd) : fd_(std::move(fd)) {}

  FileDescriptor fd_;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_TLS_MEMORY_FILE_H_
