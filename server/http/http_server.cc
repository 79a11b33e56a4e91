#include "server/http/http_server.h"

#include <microhttpd.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "server/http/http_pages.h"
#include "server/observe/live_view.h"
#include "server/tls/gnutls_identity.h"
#include "server/tls/tls_files.h"

namespace qkserve {
namespace {

// GnuTLS's default choices, without older versions of TLS.
constexpr char kTlsPriorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

MHD_Result Respond(MHD_Connection* connection, const HttpAnswer& answer) {
  // The cast is safe, because the library only reads the body, to copy it.
  const std::unique_ptr<MHD_Response, void (*)(MHD_Response*)> response(
      MHD_create_response_from_buffer(answer.body.size(), const_cast<char*>(answer.body.data()),
                                      MHD_RESPMEM_MUST_COPY),
      MHD_destroy_response);
  if (response == nullptr) return MHD_NO;
  const auto add = [&response](const std::string& name, const std::string& value) {
    MHD_add_response_header(response.get(), name.c_str(), value.c_str());
  };
  for (const auto& [name, value] : answer.headers) add(name, value);
  add("Accept-Ranges", "none");
  add("Cache-Control", "no-store");
  add("Connection", "close");
  add("Content-Type", answer.content_type);
  add("Referrer-Policy", "no-referrer");
  add("X-Content-Type-Options", "nosniff");
  return MHD_queue_response(connection, static_cast<unsigned>(answer.status), response.get());
}

}  // namespace

// The thread, the connections that it polls, and the history that it keeps. libmicrohttpd could
// accept connections itself. But then its time limit would begin again with every byte, it would
// refuse new connections at its limit, and it would spin when descriptors run out.
class HttpServer::Loop {
 public:
  Loop(BoundSockets sockets, const MetricsExporter* exporter, LogSink log, const Clock* clock,
       const TlsFiles* tls)
      : exporter_(*exporter),
        log_(std::move(log)),
        clock_(*clock),
        tls_(tls),
        sockets_(std::move(sockets)),
        live_(exporter, clock) {}

  ~Loop() {
    is_stopping_ = true;
    shutdown(sockets_.sockets().front().get(), SHUT_RDWR);  // ends a poll
    if (thread_.joinable()) thread_.join();
    if (daemon_ != nullptr) MHD_stop_daemon(daemon_);
  }

  // Starts the thread. Connections are answered once this has returned.
  absl::Status Start() {
    RETURN_IF_ERROR(sockets_.Listen());
    daemon_ = tls_ == nullptr
                  ? StartDaemon(0)
                  : StartDaemon(MHD_USE_TLS, MHD_OPTION_HTTPS_PRIORITIES, kTlsPriorities,
                                MHD_OPTION_HTTPS_CERT_CALLBACK2, &RetrieveIdentity);
    if (daemon_ == nullptr) return absl::UnavailableError("libmicrohttpd does not start");
    thread_ = std::thread([this] {
      if (tls_ != nullptr) SetThreadIdentitySource([tls = tls_] { return tls->identity(); });
      while (!is_stopping_) Poll();
    });
    return absl::OkStatus();
  }

 private:
  // The limit is kConnectionsMax + 1, because a connection that was cut for a new one still counts.
  template <class... Options>
  MHD_Daemon* StartDaemon(unsigned flags, Options... options) {
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | flags, 0, nullptr, nullptr, &Loop::OnRequest,
        this, MHD_OPTION_CONNECTION_LIMIT, static_cast<unsigned>(kConnectionsMax + 1),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, kHeadBytesMax, MHD_OPTION_NOTIFY_CONNECTION,
        &Loop::OnConnection, this, options..., MHD_OPTION_END);
  }

  struct Connection {
    int socket;
    absl::Time deadline;
    bool is_cut = false;
  };

  // The library calls this once with the header, then with each part of a body, then once more. A
  // body is read and thrown away, because the peer would lose the answer if the connection were
  // closed with unread bytes.
  static MHD_Result OnRequest(void* self, MHD_Connection* connection, const char* url,
                              const char* method, const char* /*version*/, const char* /*body*/,
                              size_t* body_size, void** seen) {
    const bool is_first = std::exchange(*seen, self) == nullptr;
    const bool waits_for_answer =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Expect") != nullptr;
    if ((is_first && !waits_for_answer) || *body_size > 0) {
      *body_size = 0;
      return MHD_YES;
    }
    const char* after = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "after");
    const Loop& loop = *static_cast<Loop*>(self);
    return Respond(
        connection,
        AnswerHttp({.method = method, .target = url, .after = after != nullptr ? after : ""},
                   loop.exporter_, loop.live_));
  }

  static void OnConnection(void* self, MHD_Connection* connection, void** /*context*/,
                           MHD_ConnectionNotificationCode what) {
    if (what != MHD_CONNECTION_NOTIFY_CLOSED) return;
    const int socket =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    std::erase_if(static_cast<Loop*>(self)->connections_,
                  [socket](const Connection& other) { return other.socket == socket; });
  }

  void Poll() {
    const absl::Time now = clock_.Now();
    if (live_.due() <= now) live_.TakeSample();
    for (Connection& connection : connections_) {
      if (connection.deadline <= now) Cut(connection);
    }
    MHD_run(daemon_);
    const bool is_accepting = accept_from_ <= now;
    std::vector<pollfd> polled;
    for (const FileDescriptor& socket : sockets_.sockets()) {
      polled.push_back({.fd = is_accepting ? socket.get() : -1, .events = POLLIN, .revents = 0});
    }
    const int connections_fd = MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    polled.push_back({.fd = connections_fd, .events = POLLIN, .revents = 0});
    if (poll(polled.data(), polled.size(), Milliseconds(Until(is_accepting) - now)) < 0) {
      if (errno != EINTR) absl::SleepFor(kAcceptRetry);
      return;
    }
    // At most one connection of each socket is accepted in a turn. Open connections are served
    // between turns.
    for (size_t i = 0; i < sockets_.sockets().size(); ++i) {
      if (polled[i].revents != 0) Accept(sockets_.sockets()[i].get());
    }
  }

  // Returns the time at which poll must return even if no socket is ready.
  absl::Time Until(bool is_accepting) const {
    unsigned long long milliseconds = 0;  // NOLINT(google-runtime-int): the library's type
    if (MHD_get_timeout(daemon_, &milliseconds) == MHD_YES && milliseconds == 0) {
      return absl::InfinitePast();
    }
    absl::Time until = is_accepting ? live_.due() : std::min(live_.due(), accept_from_);
    for (const Connection& connection : connections_) {
      if (!connection.is_cut) until = std::min(until, connection.deadline);
    }
    return until;
  }

  // Returns a timeout for poll: `time` rounded up, from 0 to a minute. After a minute the caller
  // polls again.
  static int Milliseconds(absl::Duration time) {
    return static_cast<int>(absl::ToInt64Milliseconds(std::clamp(
        absl::Ceil(time, absl::Milliseconds(1)), absl::ZeroDuration(), absl::Minutes(1))));
  }

  // Ends a connection. The library closes it when it runs next.
  static void Cut(Connection& connection) {
    if (!std::exchange(connection.is_cut, true)) shutdown(connection.socket, SHUT_RDWR);
  }

  void Accept(int listening) {
    SocketAddress peer;
    peer.size = sizeof(peer.storage);
    const int socket = accept4(listening, reinterpret_cast<sockaddr*>(&peer.storage), &peer.size,
                               SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket < 0) {
      OnAcceptError(errno);
      return;
    }
    is_accept_failing_ = false;
    if (connections_.size() >= kConnectionsMax) {
      Cut(connections_.front());
      MHD_run(daemon_);
    }
    // If this call fails, the library has closed the socket.
    if (MHD_add_connection(daemon_, socket, peer.get(), peer.size) != MHD_YES) return;
    connections_.push_back({.socket = socket, .deadline = clock_.Now() + kRequestTimeout});
  }

  void OnAcceptError(int error) {
    // These errors need no pause, because nobody is waiting to connect.
    if (error == EAGAIN || error == EINTR || error == ECONNABORTED || is_stopping_) return;
    if (!std::exchange(is_accept_failing_, true)) {
      log_({LogLevel::kError,
            absl::StrCat("http_address: cannot accept connections: ", std::strerror(error),
                         "; trying again every ", absl::FormatDuration(kAcceptRetry))});
    }
    accept_from_ = clock_.Now() + kAcceptRetry;
  }

  const MetricsExporter& exporter_;
  const LogSink log_;
  const Clock& clock_;
  const TlsFiles* const tls_;  // null: plain text
  const BoundSockets sockets_;
  MHD_Daemon* daemon_ = nullptr;
  // The thread alone uses the members below.
  LiveView live_;
  std::deque<Connection> connections_;  // the oldest first
  absl::Time accept_from_ = absl::InfinitePast();
  bool is_accept_failing_ = false;

  std::atomic<bool> is_stopping_{false};
  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(BoundSockets sockets,
                                                              const std::string& address,
                                                              const MetricsExporter* exporter,
                                                              LogSink log, const Clock* clock,
                                                              const TlsFiles* tls) {
  const int port = sockets.port();
  auto loop = std::make_unique<Loop>(std::move(sockets), exporter, std::move(log), clock, tls);
  const absl::Status status = loop->Start();
  if (!status.ok()) return CannotListen(kHttpAddressFlag, address, status);
  return std::unique_ptr<HttpServer>(
      new HttpServer(std::move(loop), WithPort(address, port), port));
}

HttpServer::HttpServer(std::unique_ptr<Loop> loop, std::string address, int port)
    : loop_(std::move(loop)), address_(std::move(address)), port_(port) {}

HttpServer::~HttpServer() = default;

}  // namespace qkserve
