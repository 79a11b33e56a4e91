#ifndef QKSERVE_TESTS_SUPPORT_HTTP_PEER_H_
#define QKSERVE_TESTS_SUPPORT_HTTP_PEER_H_

#include <map>
#include <string>

// HTTP for tests. Requests are sent byte for byte, so wrong ones are possible, too.

namespace qkserve {

// A connection to an HTTP server.
//
// Thread-compatible.
class HttpPeer {
 public:
  // Connects to an IP address and port, such as 127.0.0.1:80 or [::1]:80.
  explicit HttpPeer(const std::string& address);
  // Makes an IPv4 socket that is not connected yet.
  HttpPeer();
  ~HttpPeer();
  HttpPeer(const HttpPeer&) = delete;
  HttpPeer& operator=(const HttpPeer&) = delete;

  bool Connect(const std::string& address);
  void Say(const std::string& text) const;
  // Reads until the server closes the connection.
  std::string ReadToEnd() const;

 private:
  int socket_ = -1;
};

struct HttpResponse {
  int status = 0;  // 0: there was no response
  std::map<std::string, std::string> headers;
  std::string body;
};

// Returns the server's answer to one request. `header_lines` are further lines, each with its line
// end.
HttpResponse AskHttp(const std::string& address, const std::string& method, const std::string& path,
                     const std::string& header_lines = "", const std::string& body = "");

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_HTTP_PEER_H_
