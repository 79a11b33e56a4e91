#ifndef QKSERVE_FORMATS_INPUT_FILE_H_
#define QKSERVE_FORMATS_INPUT_FILE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/file_descriptor.h"

namespace qkserve {

// A regular file that is read piece by piece. It is not mapped into memory, because a read of a
// mapped file that has shrunk ends the process. ReadAt returns an error instead.
//
// Thread-safe. Errors name the file.
class InputFile {
 public:
  // Opens a file. `expected` names the kind of file in errors, for example "an .npy file". Does not
  // wait for the writer of a pipe. INVALID_ARGUMENT: the path is not a regular file. Other errors
  // are the operating system's, for example NOT_FOUND or PERMISSION_DENIED.
  static absl::StatusOr<std::shared_ptr<const InputFile>> Open(const std::string& path,
                                                               absl::string_view expected);

  const std::string& path() const { return path_; }
  // Returns the size of the file when it was opened.
  int64_t size_bytes() const { return size_bytes_; }

  // Fills `out` with the bytes from `offset` on. INVALID_ARGUMENT: the file ends too early. Other
  // errors are the operating system's.
  absl::Status ReadAt(int64_t offset, absl::Span<char> out) const;

  // Returns `status` with the file's name before its message.
  absl::Status Named(const absl::Status& status) const;

 private:
  InputFile(const std::string& path, int fd) : path_(path), fd_(fd) {}

  const std::string path_;
  const FileDescriptor fd_;
  int64_t size_bytes_ = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_FORMATS_INPUT_FILE_H_
