#include "server/http_server.h"

#include <httplib.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <deque>
#include <functional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "core/mutex.h"
#include "server/http_connection.h"
#include "server/http_pages.h"

namespace qkserve {
namespace {

// Threads for connections. Where kWaitingMax wait, the thread that accepts them waits too.
class BoundedQueue final : public httplib::TaskQueue {
 public:
  BoundedQueue() {
    for (int i = 0; i < HttpServer::kThreads; ++i) threads_.emplace_back([this] { Loop(); });
  }

  void enqueue(std::function<void()> task) override {
    MutexLock lock(&mutex_);
    while (tasks_.size() >= HttpServer::kWaitingMax) changed_.Wait(&mutex_);
    tasks_.push_back(std::move(task));
    changed_.NotifyAll();
  }

  // Runs what waits.
  void shutdown() override {
    {
      MutexLock lock(&mutex_);
      is_stopping_ = true;
      changed_.NotifyAll();
    }
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  void Loop() {
    while (true) {
      std::function<void()> task;
      {
        MutexLock lock(&mutex_);
        while (tasks_.empty() && !is_stopping_) changed_.Wait(&mutex_);
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
        changed_.NotifyAll();
      }
      task();
    }
  }

  Mutex mutex_;
  CondVar changed_;
  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

// For the Date header: the page knows the server's time by it.
std::string HttpDate() {
  return absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", absl::Now(), absl::UTCTimeZone());
}

void Send(HttpAnswer answer, httplib::Response& out) {
  out.status = answer.status;
  for (const auto& [name, value] : answer.headers) out.set_header(name, value);
  out.set_header("Date", HttpDate());
  out.set_header("Cache-Control", "no-store");
  out.set_header("X-Content-Type-Options", "nosniff");
  out.set_header("Referrer-Policy", "no-referrer");
  // Not set_content: the library would compress it, with Brotli at its slowest for a browser.
  const size_t size = answer.body.size();
  out.set_content_provider(
      size, answer.content_type,
      [body = std::move(answer.body)](size_t offset, size_t length, httplib::DataSink& sink) {
        return sink.write(body.data() + offset, length);
      });
}

}  // namespace

class HttpServer::Listener final : public httplib::Server {
 public:
  Listener(const Monitor* monitor, LogSink log, const Clock* clock)
      : log_(std::move(log)), clock_(*clock) {
    new_task_queue = [] { return new BoundedQueue; };
    // The library's default lets a second server share the port silently.
    set_socket_options([](socket_t socket) {
      const int on = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    });
    // In place of routes: those are regular expressions, and read the body first.
    set_pre_routing_handler([monitor](const httplib::Request& request, httplib::Response& out) {
      Send(AnswerHttp(request.method, request.path, *monitor), out);
      return HandlerResponse::Handled;
    });
  }

  // Returns the port, or -1.
  int Bind(const std::string& host, int port) {
    if (port == 0) return bind_to_any_port(host);
    return bind_to_port(host, port) ? port : -1;
  }

  // Returns when connections are accepted: stop() has no effect before.
  void Start() {
    thread_ = std::thread([this] {
      const bool ok = listen_after_bind();
      has_ended_ = true;
      if (!ok && !is_stopping_) log_({LogLevel::kError, "http_address: stopped listening"});
    });
    while (!is_running() && !has_ended_) absl::SleepFor(absl::Milliseconds(1));
  }

  void Stop() {
    {
      MutexLock lock(&mutex_);
      is_stopping_ = true;
      for (HttpConnection* connection : connections_) connection->Abort();
    }
    stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  bool process_and_close_socket(socket_t socket) override {
    HttpConnection connection(socket, kRequestTimeout, kRequestBytesMax, &clock_);
    {
      MutexLock lock(&mutex_);
      if (is_stopping_) return false;
      connections_.insert(&connection);
    }
    bool closed = false;
    const bool ok = process_request(connection, /*close_connection=*/true, closed, nullptr);
    MutexLock lock(&mutex_);
    connections_.erase(&connection);
    return ok;
  }

  const LogSink log_;
  const Clock& clock_;
  std::atomic<bool> is_stopping_{false};
  std::atomic<bool> has_ended_{false};
  Mutex mutex_;
  std::set<HttpConnection*> connections_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& address,
                                                              const Monitor* monitor, LogSink log,
                                                              const Clock* clock) {
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port)) {
    return absl::InvalidArgumentError(
        absl::StrCat("http_address: got '", address, "', expected HOST:PORT"));
  }
  absl::string_view host = absl::string_view(address).substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  auto listener = std::make_unique<Listener>(monitor, std::move(log), clock);
  errno = 0;
  port = listener->Bind(std::string(host), port);
  if (port < 0) {
    return absl::UnavailableError(absl::StrCat(
        "http_address: cannot listen on ", address, errno != 0 ? ": " : "",
        errno != 0 ? std::strerror(errno) : "", "; give another one, or an empty one for no HTTP"));
  }
  listener->Start();
  return std::unique_ptr<HttpServer>(
      new HttpServer(std::move(listener), absl::StrCat(address.substr(0, colon), ":", port), port));
}

HttpServer::HttpServer(std::unique_ptr<Listener> listener, std::string address, int port)
    : listener_(std::move(listener)), address_(std::move(address)), port_(port) {}

HttpServer::~HttpServer() { listener_->Stop(); }

}  // namespace qkserve
