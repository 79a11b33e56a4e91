#include "server/lifecycle/acceptor.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/peer_prefix.h"

namespace qkserve {
namespace {

constexpr absl::Duration kCountEvery = absl::Seconds(1);

// Sets TCP options, which accepted connections inherit. This fails for unix sockets, which need no
// such options.
BoundSockets WithTcpOptions(BoundSockets sockets, absl::Duration unsent_timeout) {
  const int on = 1;
  const auto unsent_ms = static_cast<unsigned>(std::min<int64_t>(
      absl::ToInt64Milliseconds(unsent_timeout), std::numeric_limits<int>::max()));
  for (const FileDescriptor& socket : sockets.sockets()) {
    setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(socket.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &unsent_ms, sizeof(unsent_ms));
  }
  return sockets;
}

FileDescriptor SpareDescriptor() { return FileDescriptor(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

}  // namespace

Acceptor::Acceptor(BoundSockets sockets, Options options, ConnectionCounts* counts,
                   const Clock* clock)
    : sockets_(WithTcpOptions(std::move(sockets), options.unsent_timeout)),
      options_(std::move(options)),
      counts_(*counts),
      clock_(*clock),
      table_(options_.connections_max, options_.per_peer_max),
      spare_(SpareDescriptor()),
      thread_([this] {
        while (!is_stopping_) Poll();
      }) {
  counts_.max = options_.connections_max;
}

Acceptor::~Acceptor() {
  is_stopping_ = true;
  // The path is removed while the socket still listens. Afterwards the path may belong to another
  // server's socket.
  sockets_.RemovePath();
  shutdown(sockets_.sockets().front().get(), SHUT_RDWR);  // ends a poll
  thread_.join();
}

void Acceptor::Poll() {
  const absl::Time now = clock_.Now();
  if (sweep_at_ <= now) {
    table_.Sweep();
    counts_.open = table_.count();
    sweep_at_ = now + kCountEvery;
  }
  const bool is_accepting = accept_from_ <= now;
  std::vector<pollfd> polled;
  for (const FileDescriptor& socket : sockets_.sockets()) {
    polled.push_back({.fd = is_accepting ? socket.get() : -1, .events = POLLIN, .revents = 0});
  }
  const absl::Time until = is_accepting ? sweep_at_ : std::min(sweep_at_, accept_from_);
  const auto timeout_ms = absl::ToInt64Milliseconds(absl::Ceil(
      std::clamp(until - now, absl::ZeroDuration(), kCountEvery), absl::Milliseconds(1)));
  if (poll(polled.data(), polled.size(), static_cast<int>(timeout_ms)) < 0) return;
  for (size_t i = 0; i < polled.size(); ++i) {
    if (polled[i].revents != 0 && !is_stopping_) Accept(sockets_.sockets()[i].get());
  }
}

void Acceptor::Accept(int listening) {
  const int socket = accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (socket < 0) return OnError(listening, errno);
  SocketAddress peer;
  peer.size = sizeof(peer.storage);
  if (getpeername(socket, reinterpret_cast<sockaddr*>(&peer.storage), &peer.size) != 0) {
    // The peer has closed the connection already, as a probe of the port does. gRPC would log an
    // error.
    close(socket);
    return;
  }
  const std::string host = peer.Host();
  const ConnectionTable::Outcome outcome = table_.Add(socket, PeerPrefix(host), clock_.Now());
  counts_.open = table_.count();
  if (outcome == ConnectionTable::Outcome::kAdded) {
    ++counts_.accepted;
    options_.take(socket);
    return;
  }
  close(socket);
  if (outcome == ConnectionTable::Outcome::kFull) {
    Count(ConnectionRefusal::kFull);
    Log(absl::StrCat("connections_max = ", options_.connections_max, " are open"), host);
  } else {
    Count(ConnectionRefusal::kPeerFull);
    Log(absl::StrCat("connections_per_peer_max = ", options_.per_peer_max,
                     " of its address are open"),
        host);
  }
}

void Acceptor::OnError(int listening, int error) {
  // These errors refuse no connection, because none waits or its peer has gone.
  if (error == EAGAIN || error == EINTR || error == ECONNABORTED || is_stopping_) return;
  spare_.Close();
  const int socket = accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
  if (socket >= 0) {
    close(socket);
    Count(ConnectionRefusal::kNoDescriptor);
  } else {
    // The connection still waits to be accepted. Without a pause the thread would spin.
    accept_from_ = clock_.Now() + kRetryAfter;
  }
  spare_ = SpareDescriptor();
  Log(std::strerror(error), "");
}

void Acceptor::Log(absl::string_view why, const std::string& peer) {
  ++unlogged_;
  const absl::Time now = clock_.Now();
  if (now < log_from_) return;
  log_from_ = now + kLogEvery;
  LogEvent event = {LogLevel::kWarning, absl::StrCat("connection refused: ", why)};
  if (!peer.empty()) event.fields.emplace_back("peer", peer);
  event.fields.emplace_back("refused", std::exchange(unlogged_, 0));
  options_.log(event);
}

}  // namespace qkserve
