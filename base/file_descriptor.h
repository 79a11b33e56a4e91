#ifndef QKSERVE_BASE_FILE_DESCRIPTOR_H_
#define QKSERVE_BASE_FILE_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

namespace qkserve {

// Owns a descriptor of an open file or socket, or -1. The destructor closes it.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() { Close(); }

  int get() const { return fd_; }
  // Closes the descriptor now. Returns 0, or -1 with errno. The error of a full disk may come only
  // here.
  int Close() { return fd_ < 0 ? 0 : close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

}  // namespace qkserve

#endif  // QKSERVE_BASE_FILE_DESCRIPTOR_H_
