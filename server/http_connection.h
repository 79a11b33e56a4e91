#ifndef QKSERVE_SERVER_HTTP_CONNECTION_H_
#define QKSERVE_SERVER_HTTP_CONNECTION_H_

#include <cstddef>
#include <functional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace qkserve {

// A connection for one request, moved on by whoever polls it: nothing here waits for the peer.
//
// It reads the head of a request, sends the answer, and then throws away what still comes until the
// peer closes: closing on bytes that were not read would take the answer from the peer.
//
// Thread-compatible.
class HttpConnection {
 public:
  static constexpr size_t kHeadBytesMax = 16 << 10;

  // The response to a head, not empty. The head ends in an empty line, or is cut at kHeadBytesMax.
  using Answerer = std::function<std::string(absl::string_view head)>;

  // Owns the socket, which must not block. It should be closed at the deadline.
  HttpConnection(int socket, absl::Time deadline) : socket_(socket), deadline_(deadline) {}
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  int socket() const { return socket_; }
  absl::Time deadline() const { return deadline_; }

  // What to poll for.
  short events() const;

  // Does what can be done now. False: it is over.
  bool Advance(const Answerer& answer);

 private:
  bool Receive(const Answerer& answer);
  bool Send();

  const int socket_;
  const absl::Time deadline_;
  std::string head_;
  std::string answer_;  // empty until the head is there
  size_t sent_ = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_HTTP_CONNECTION_H_
