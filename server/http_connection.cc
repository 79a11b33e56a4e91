#include "server/http_connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "absl/strings/match.h"

namespace qkserve {
namespace {

bool IsForLater(int error) { return error == EAGAIN || error == EINTR; }

}  // namespace

HttpConnection::~HttpConnection() { close(socket_); }

short HttpConnection::events() const { return sent_ < answer_.size() ? POLLOUT : POLLIN; }

bool HttpConnection::Advance(const Answerer& answer) {
  return sent_ < answer_.size() ? Send() : Receive(answer);
}

bool HttpConnection::Receive(const Answerer& answer) {
  std::array<char, kHeadBytesMax> bytes;
  const ssize_t count = recv(socket_, bytes.data(), bytes.size() - head_.size(), 0);
  if (count < 0) return IsForLater(errno);
  if (count == 0) return false;
  if (!answer_.empty()) return true;  // thrown away
  constexpr absl::string_view kEnd = "\r\n\r\n";
  // The end may have begun in what was there before.
  const size_t from = std::max(head_.size(), kEnd.size()) - kEnd.size();
  head_.append(bytes.data(), static_cast<size_t>(count));
  const bool is_whole = absl::StrContains(absl::string_view(head_).substr(from), kEnd);
  if (!is_whole && head_.size() < kHeadBytesMax) return true;
  answer_ = answer(head_);
  head_.clear();
  return Send();
}

bool HttpConnection::Send() {
  const ssize_t count = send(socket_, answer_.data() + sent_, answer_.size() - sent_, MSG_NOSIGNAL);
  if (count < 0) return IsForLater(errno);
  sent_ += static_cast<size_t>(count);
  if (sent_ == answer_.size()) shutdown(socket_, SHUT_WR);
  return true;
}

}  // namespace qkserve
