#ifndef QKSERVE_TESTS_SUPPORT_HTTP_PEER_H_
#define QKSERVE_TESTS_SUPPORT_HTTP_PEER_H_

#include <map>
#include <string>

// HTTP as tests speak it: byte for byte, so that wrong requests can be sent, too.

namespace qkserve {

// A connection to an HTTP server.
//
// Thread-compatible.
class HttpPeer {
 public:
  // Connects to an IP address with a port: 127.0.0.1:80 or [::1]:80.
  explicit HttpPeer(const std::string& address);
  // Has a socket of IPv4 that is not yet connected.
  HttpPeer();
  ~HttpPeer();
  HttpPeer(const HttpPeer&) = delete;
  HttpPeer& operator=(const HttpPeer&) = delete;

  bool Connect(const std::string& address);
  void Say(const std::string& text) const;
  // Reads until the server closes.
  std::string ReadToEnd() const;

 private:
  int socket_ = -1;
};

struct HttpResponse {
  int status = 0;  // 0: there was no response
  std::map<std::string, std::string> headers;
  std::string body;
};

// The server's answer to one request with further header lines, each with its line end.
HttpResponse AskHttp(const std::string& address, const std::string& method, const std::string& path,
                     const std::string& header_lines = "", const std::string& body = "");

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_HTTP_PEER_H_
