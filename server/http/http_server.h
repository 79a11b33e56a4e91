#ifndef QKSERVE_SERVER_HTTP_HTTP_SERVER_H_
#define QKSERVE_SERVER_HTTP_HTTP_SERVER_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/lifecycle/listen_address.h"
#include "server/observe/metrics_exporter.h"

namespace qkserve {

class TlsFiles;

// Serves /metrics, /healthz, /readyz, and a page for people with its data. It has a separate port
// and thread, which means that a scrape and a request never wait for each other. The thread takes a
// sample for the page once a second, even if nobody has opened the page.
//
// The thread polls all connections and waits for none. libmicrohttpd reads requests and writes
// responses. Each connection is for one request. A connection that was accepted is closed after
// kRequestTimeout at the latest. If kConnectionsMax connections are open, the oldest is closed for
// a new one. These limits keep silent and slow peers from shutting others out, and from taking many
// of the files that gRPC's connections need.
class HttpServer {
 public:
  static constexpr int kConnectionsMax = 64;
  static constexpr absl::Duration kRequestTimeout = absl::Seconds(5);
  // The pause if a connection cannot be accepted, for example because the process has no descriptor
  // left.
  static constexpr absl::Duration kAcceptRetry = absl::Milliseconds(100);
  // The most bytes of the request line, the header, and libmicrohttpd's notes about them. A longer
  // request gets 414 or 431.
  static constexpr size_t kHeadBytesMax = 16 << 10;

  // Listens on sockets that were bound to HOST:PORT. Connections are answered once this has
  // returned. With `tls` the server speaks TLS 1.2 and up, and asks clients for no certificate.
  // UNAVAILABLE: the server cannot listen on the address. The pointers must outlive the server.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(BoundSockets sockets,
                                                           const std::string& address,
                                                           const MetricsExporter* exporter,
                                                           LogSink log, const Clock* clock,
                                                           const TlsFiles* tls = nullptr);
  // Ends all connections.
  ~HttpServer();

  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // HOST:PORT, with the port that was taken.
  const std::string& address() const { return address_; }
  int port() const { return port_; }

 private:
  class Loop;

  HttpServer(std::unique_ptr<Loop> loop, std::string address, int port);

  const std::unique_ptr<Loop> loop_;
  const std::string address_;
  const int port_;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_HTTP_HTTP_SERVER_H_
