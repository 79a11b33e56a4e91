#ifndef QKSERVE_SERVER_HTTP_CONNECTION_H_
#define QKSERVE_SERVER_HTTP_CONNECTION_H_

#include <httplib.h>
#include <poll.h>

#include <cstddef>
#include <string>

#include "absl/time/time.h"
#include "core/clock.h"

namespace qkserve {

// A connection as cpp-httplib reads and writes it, for one request: with one deadline for all of it
// and a limit of what it reads. The library's own has a time limit for each read and none for the
// length of a line: a byte a second would hold a thread for ever, a long line all memory.
//
// Thread-compatible, but Abort may come from any thread.
class HttpConnection final : public httplib::Stream {
 public:
  // Owns the socket. The clock must outlive it.
  HttpConnection(socket_t socket, absl::Duration timeout, size_t read_bytes_max,
                 const Clock* clock);
  ~HttpConnection() override;
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  // What reads or writes fails from now on.
  void Abort();

  bool is_readable() const override { return Await(POLLIN); }
  bool is_writable() const override { return Await(POLLOUT); }
  ssize_t read(char* out, size_t size) override;
  ssize_t write(const char* bytes, size_t size) override;
  socket_t socket() const override { return socket_; }
  // Nobody asks: nothing is logged of a request.
  void get_remote_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
  void get_local_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}

 private:
  // Whether that is possible before the deadline.
  bool Await(short events) const;

  const socket_t socket_;
  const Clock& clock_;
  const absl::Time deadline_;
  size_t read_bytes_left_;
  // What was read and not yet taken: the library takes single bytes.
  std::string buffer_;
  size_t taken_ = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_HTTP_CONNECTION_H_
