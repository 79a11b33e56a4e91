#include "server/http_connection.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace qkserve {

HttpConnection::HttpConnection(socket_t socket, absl::Duration timeout, size_t read_bytes_max,
                               const Clock* clock)
    : socket_(socket),
      clock_(*clock),
      deadline_(clock->Now() + timeout),
      read_bytes_left_(read_bytes_max) {
  // So that a write of much waits in Await, where the deadline is seen.
  fcntl(socket_, F_SETFL, fcntl(socket_, F_GETFL) | O_NONBLOCK);
  fcntl(socket_, F_SETFD, FD_CLOEXEC);
}

HttpConnection::~HttpConnection() {
  Abort();
  close(socket_);
}

void HttpConnection::Abort() { shutdown(socket_, SHUT_RDWR); }

bool HttpConnection::Await(short events) const {
  while (true) {
    const absl::Duration left = deadline_ - clock_.Now();
    if (left <= absl::ZeroDuration()) return false;
    pollfd ready = {.fd = socket_, .events = events, .revents = 0};
    const int count = poll(&ready, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
    if (count > 0) return true;
    if (count < 0 && errno != EINTR) return false;
  }
}

ssize_t HttpConnection::read(char* out, size_t size) {
  if (taken_ == buffer_.size()) {
    constexpr size_t kReadBytes = 4096;
    buffer_.resize(std::min(kReadBytes, read_bytes_left_));
    taken_ = 0;
    ssize_t count = -1;
    if (!buffer_.empty() && Await(POLLIN)) {
      count = recv(socket_, buffer_.data(), buffer_.size(), 0);
    }
    buffer_.resize(static_cast<size_t>(std::max(count, ssize_t{0})));
    if (count <= 0) return count;
    read_bytes_left_ -= buffer_.size();
  }
  const size_t count = std::min(size, buffer_.size() - taken_);
  std::memcpy(out, buffer_.data() + taken_, count);
  taken_ += count;
  return static_cast<ssize_t>(count);
}

ssize_t HttpConnection::write(const char* bytes, size_t size) {
  if (!Await(POLLOUT)) return -1;
  const ssize_t count = send(socket_, bytes, size, MSG_NOSIGNAL);
  return count < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : count;
}

}  // namespace qkserve
