#include "tests/support/http_peer.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

// Returns the host without its brackets, and the port.
std::pair<std::string, std::string> Split(const std::string& address) {
  const size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (absl::string_view(host).substr(0, 1) == "[") host = host.substr(1, host.size() - 2);
  return {host, address.substr(colon + 1)};
}

}  // namespace

HttpPeer::HttpPeer() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}

HttpPeer::HttpPeer(const std::string& address) {
  const int family = address[0] == '[' ? AF_INET6 : AF_INET;
  socket_ = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_TRUE(Connect(address)) << address;
}

HttpPeer::~HttpPeer() { close(socket_); }

bool HttpPeer::Connect(const std::string& address) {
  const auto [host, port] = Split(address);
  addrinfo hints = {};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* to = nullptr;
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &to) != 0) return false;
  const bool is_connected = connect(socket_, to->ai_addr, to->ai_addrlen) == 0;
  freeaddrinfo(to);
  return is_connected;
}

void HttpPeer::Say(const std::string& text) const {
  EXPECT_EQ(send(socket_, text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()));
}

std::string HttpPeer::ReadToEnd() const {
  std::string text;
  std::array<char, 4096> bytes;
  for (ssize_t n; (n = recv(socket_, bytes.data(), bytes.size(), 0)) > 0;) {
    text.append(bytes.data(), static_cast<size_t>(n));
  }
  return text;
}

HttpResponse AskHttp(const std::string& address, const std::string& method, const std::string& path,
                     const std::string& header_lines, const std::string& body) {
  const HttpPeer peer(address);
  peer.Say(absl::StrCat(method, " ", path, " HTTP/1.1\r\nHost: ", address, "\r\n", header_lines,
                        body.empty() ? "" : absl::StrCat("Content-Length: ", body.size(), "\r\n"),
                        "\r\n", body));
  const std::string text = peer.ReadToEnd();
  HttpResponse response;
  const size_t head_end = text.find("\r\n\r\n");
  if (head_end == std::string::npos) return response;
  response.body = text.substr(head_end + 4);
  std::vector<std::string> lines = absl::StrSplit(text.substr(0, head_end), "\r\n");
  const std::vector<std::string> status_line = absl::StrSplit(lines.front(), ' ');
  EXPECT_GE(status_line.size(), 2U) << lines.front();
  EXPECT_TRUE(absl::SimpleAtoi(status_line[1], &response.status)) << lines.front();
  lines.erase(lines.begin());
  for (const std::string& line : lines) {
    const std::pair<std::string, std::string> header =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    response.headers[header.first] = std::string(absl::StripAsciiWhitespace(header.second));
  }
  return response;
}

}  // namespace qkserve
