#ifndef QKSERVE_SERVER_HTTP_RESPONDER_H_
#define QKSERVE_SERVER_HTTP_RESPONDER_H_

#include <httplib.h>

#include <string>

#include "absl/strings/string_view.h"
#include "server/monitor.h"

namespace qkserve {

// What cpp-httplib does here: it takes the port, reads request lines and writes responses. It does
// not accept connections: it would give each a thread that waits for it.
//
// Thread-compatible.
class HttpResponder final : public httplib::Server {
 public:
  // The monitor must outlive it.
  explicit HttpResponder(const Monitor* monitor);
  ~HttpResponder() override;

  // Listens. Returns the port (of port 0: the one that was taken), or -1.
  int Bind(const std::string& host, int port);
  // That listens.
  int socket() const { return svr_sock_; }

  // The response to a request's head. One without an empty line at its end is too long: 414, 431.
  std::string Answer(absl::string_view head);

 private:
  bool is_too_long_ = false;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_HTTP_RESPONDER_H_
