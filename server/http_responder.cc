#include "server/http_responder.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/http_pages.h"

namespace qkserve {
namespace {

// What the library reads from and writes to.
class StringStream final : public httplib::Stream {
 public:
  explicit StringStream(absl::string_view in) : in_(in) {}
  const std::string& out() const { return out_; }

  bool is_readable() const override { return true; }
  bool is_writable() const override { return true; }
  ssize_t read(char* out, size_t size) override {
    const size_t count = std::min(size, in_.size());
    std::memcpy(out, in_.data(), count);
    in_.remove_prefix(count);
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char* bytes, size_t size) override {
    out_.append(bytes, size);
    return static_cast<ssize_t>(size);
  }
  // The library would use it with select, and so refuses numbers of 1024 and more.
  socket_t socket() const override { return 0; }
  // Nobody asks: nothing is logged of a request.
  void get_remote_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
  void get_local_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}

 private:
  absl::string_view in_;
  std::string out_;
};

// For the Date header: the page knows the server's time by it.
std::string HttpDate() {
  return absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", absl::Now(), absl::UTCTimeZone());
}

void Send(const HttpAnswer& answer, httplib::Response& out) {
  out.status = answer.status;
  for (const auto& [name, value] : answer.headers) out.set_header(name, value);
  out.set_header("Accept-Ranges", "none");
  out.set_header("Cache-Control", "no-store");
  out.set_header("Date", HttpDate());
  out.set_header("Referrer-Policy", "no-referrer");
  out.set_header("X-Content-Type-Options", "nosniff");
  out.set_content(answer.body, answer.content_type);
}

// The line as the library knows it. It refuses methods that it has never heard of, which are
// answered as others that are not for reading; and it knows no targets that name the host, as
// proxies send them (RFC 9112, 3.2.2).
std::string CommonRequestLine(absl::string_view line) {
  const size_t method_end = line.find(' ');
  if (method_end == 0 || method_end == absl::string_view::npos) return std::string(line);
  absl::string_view method = line.substr(0, method_end);
  absl::string_view rest = line.substr(method_end);
  const bool is_known = method == "GET" || method == "HEAD";
  if (!is_known && std::all_of(method.begin(), method.end(), absl::ascii_isalpha)) method = "POST";
  for (const absl::string_view scheme : {" http://", " https://"}) {
    if (!absl::StartsWithIgnoreCase(rest, scheme)) continue;
    rest.remove_prefix(std::min(rest.find_first_of("/? ", scheme.size()), rest.size()));
    return absl::StrCat(method, absl::StartsWith(rest, "/") ? " " : " /", rest);
  }
  return absl::StrCat(method, rest);
}

// Why the library refused the request.
const char* RefusalText(int status) {
  switch (status) {
    case 400:
      return "expected METHOD PATH HTTP/1.1\n";
    case 414:
      return "the request line is too long\n";
    default:
      return "the request failed\n";
  }
}

}  // namespace

HttpResponder::HttpResponder(const Monitor* monitor) {
  // The library's default lets a second server share the port silently.
  set_socket_options([](socket_t socket) {
    const int on = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  });
  // In place of routes: those are regular expressions, and read the body first.
  set_pre_routing_handler([this, monitor](const httplib::Request& request, httplib::Response& out) {
    Send(is_too_long_ ? HttpAnswer{.status = 431, .body = "the request's header is too long\n"}
                      : AnswerHttp(request.method, request.path, *monitor),
         out);
    return HandlerResponse::Handled;
  });
  set_error_handler([](const httplib::Request& /*request*/, httplib::Response& out) {
    if (out.body.empty()) Send({.status = out.status, .body = RefusalText(out.status)}, out);
  });
}

HttpResponder::~HttpResponder() {
  if (svr_sock_ != INVALID_SOCKET) close(svr_sock_);
}

int HttpResponder::Bind(const std::string& host, int port) {
  if (port == 0) {
    port = bind_to_any_port(host);
  } else if (!bind_to_port(host, port)) {
    port = -1;
  }
  if (port < 0) return port;
  // The library lets five connections wait until they are accepted: a burst would be turned away.
  ::listen(svr_sock_, SOMAXCONN);
  // One that has gone before it is accepted must not make accept wait for the next.
  fcntl(svr_sock_, F_SETFL, fcntl(svr_sock_, F_GETFL) | O_NONBLOCK);
  return port;
}

std::string HttpResponder::Answer(absl::string_view head) {
  constexpr absl::string_view kLineEnd = "\r\n";
  is_too_long_ = !absl::StrContains(head, "\r\n\r\n");
  // Without the header's fields: no answer depends on them, and the library acts on some. It
  // answers parts of Range wrongly, and compresses with Brotli at its slowest.
  const std::string line =
      absl::StrCat(CommonRequestLine(head.substr(0, head.find(kLineEnd))), kLineEnd, kLineEnd);
  StringStream stream(line);
  bool closed = false;
  process_request(stream, /*close_connection=*/true, closed, nullptr);
  return stream.out();
}

}  // namespace qkserve
