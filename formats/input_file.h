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

// A regular file that is read piece by piece. It is not mapped into memory: if it shrinks
// meanwhile, a read is an error and not the end of the process.
//
// Thread-safe. Errors name the file.
class InputFile {
 public:
  // `expected` names the kind of file in errors: "an .npy file". Does not wait for the writer of a
  // pipe. NOT_FOUND, PERMISSION_DENIED; INVALID_ARGUMENT: no regular file.
  static absl::StatusOr<std::shared_ptr<const InputFile>> Open(const std::string& path,
                                                               absl::string_view expected);

  const std::string& path() const { return path_; }
  // Its size when it was opened.
  int64_t size_bytes() const { return size_bytes_; }

  // Fills `out` with the bytes from `offset` on. INVALID_ARGUMENT: the file ends before that. Or
  // the operating system's errors.
  absl::Status ReadAt(int64_t offset, absl::Span<char> out) const;

  // `status` with the file's name before its message.
  absl::Status Named(const absl::Status& status) const;

 private:
  InputFile(const std::string& path, int fd) : path_(path), fd_(fd) {}

  const std::string path_;
  const FileDescriptor fd_;
  int64_t size_bytes_ = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_FORMATS_INPUT_FILE_H_
