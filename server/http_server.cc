#include "server/http_server.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <list>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/address.h"
#include "server/http_connection.h"
#include "server/http_responder.h"

namespace qkserve {

class HttpServer::Listener {
 public:
  Listener(const Monitor* monitor, LogSink log, const Clock* clock)
      : log_(std::move(log)), clock_(*clock), responder_(monitor) {}

  // Returns the port, or -1. Whoever connects from now on is answered once Start was called.
  int Bind(const std::string& host, int port) { return responder_.Bind(host, port); }

  void Start() {
    thread_ = std::thread([this] {
      while (!is_stopping_) Poll();
    });
  }

  void Stop() {
    is_stopping_ = true;
    shutdown(responder_.socket(), SHUT_RDWR);  // ends a poll
    if (thread_.joinable()) thread_.join();
  }

 private:
  void Poll() {
    const absl::Time now = clock_.Now();
    while (!connections_.empty() && connections_.front().deadline() <= now) {
      connections_.pop_front();
    }
    const bool is_accepting = accept_from_ <= now;
    std::vector<pollfd> polled;
    polled.push_back(
        {.fd = is_accepting ? responder_.socket() : -1, .events = POLLIN, .revents = 0});
    for (const HttpConnection& connection : connections_) {
      polled.push_back({.fd = connection.socket(), .events = connection.events(), .revents = 0});
    }
    absl::Time until = is_accepting ? absl::InfiniteFuture() : accept_from_;
    if (!connections_.empty()) until = std::min(until, connections_.front().deadline());
    if (poll(polled.data(), polled.size(), Milliseconds(until - now)) < 0) {
      if (errno != EINTR) absl::SleepFor(kAcceptRetry);
      return;
    }
    size_t i = 0;
    connections_.remove_if([&](HttpConnection& connection) {
      return polled[++i].revents != 0 && !connection.Advance(answerer_);
    });
    // One at a time, so that those that are there go on in between.
    if (polled.front().revents != 0) Accept();
  }

  // For poll: rounded up, at most a minute, which is as good as for ever.
  static int Milliseconds(absl::Duration time) {
    return static_cast<int>(absl::ToInt64Milliseconds(
        std::min(absl::Ceil(time, absl::Milliseconds(1)), absl::Minutes(1))));
  }

  void Accept() {
    const int socket = accept4(responder_.socket(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket >= 0) {
      if (connections_.size() == kConnectionsMax) connections_.pop_front();
      connections_.emplace_back(socket, clock_.Now() + kRequestTimeout);
      is_accept_failing_ = false;
      return;
    }
    // Nobody is there, or no longer.
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED || is_stopping_) return;
    if (!std::exchange(is_accept_failing_, true)) {
      log_({LogLevel::kError,
            absl::StrCat("http_address: cannot accept connections: ", std::strerror(errno),
                         "; trying again every ", absl::FormatDuration(kAcceptRetry))});
    }
    accept_from_ = clock_.Now() + kAcceptRetry;
  }

  const LogSink log_;
  const Clock& clock_;
  HttpResponder responder_;
  const HttpConnection::Answerer answerer_ = [this](absl::string_view head) {
    return responder_.Answer(head);
  };
  // Of the thread alone.
  std::list<HttpConnection> connections_;  // the oldest first
  absl::Time accept_from_ = absl::InfinitePast();
  bool is_accept_failing_ = false;

  std::atomic<bool> is_stopping_{false};
  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& address,
                                                              const Monitor* monitor, LogSink log,
                                                              const Clock* clock) {
  const absl::StatusOr<HostPort> to = ParseHostPort("http_address", address, "nothing");
  if (!to.ok()) return to.status();
  auto listener = std::make_unique<Listener>(monitor, std::move(log), clock);
  errno = 0;
  const int port = listener->Bind(to->host, to->port);
  if (port < 0) {
    return absl::UnavailableError(absl::StrCat(
        "http_address: cannot listen on ", address, errno != 0 ? ": " : "",
        errno != 0 ? std::strerror(errno) : "", "; give another one, or an empty one for no HTTP"));
  }
  listener->Start();
  return std::unique_ptr<HttpServer>(new HttpServer(
      std::move(listener), absl::StrCat(address.substr(0, address.rfind(':')), ":", port), port));
}

HttpServer::HttpServer(std::unique_ptr<Listener> listener, std::string address, int port)
    : listener_(std::move(listener)), address_(std::move(address)), port_(port) {}

HttpServer::~HttpServer() { listener_->Stop(); }

}  // namespace qkserve
