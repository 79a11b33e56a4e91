#ifndef QKSERVE_TESTS_SERVER_HTTP2_PEER_H_
#define QKSERVE_TESTS_SERVER_HTTP2_PEER_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace qkserve {

// A client that speaks HTTP/2 frame by frame. It does things that gRPC's own client does not do,
// and shows things that it hides.
class Http2Peer {
 public:
  // Connects to 127.0.0.1:`port` and sends what begins a connection.
  explicit Http2Peer(int port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    Write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    SendFrame(kSettings, "");
  }
  Http2Peer(const Http2Peer&) = delete;
  Http2Peer& operator=(const Http2Peer&) = delete;
  ~Http2Peer() { close(socket_); }

  void SendPing() { SendFrame(kPing, "12345678"); }

  // Reads frames until `count` pings were answered, or the server sends GOAWAY or closes. Returns
  // how many were answered.
  int ReadPingAnswers(int count) {
    int answers = 0;
    while (answers < count) {
      const char type = ReadFrame();
      if (type == kGoaway || type == kClosed) break;
      if (type == kPing && is_answer_) ++answers;
    }
    return answers;
  }

  // Waits until the server has closed the connection. Answers its pings, as a client must.
  void AwaitEnd() {
    for (char type = 0; (type = ReadFrame()) != kClosed;) {
      if (type == kPing && !is_answer_) SendFrame(kPing, payload_, 1);
    }
  }

 private:
  static constexpr char kSettings = 4;
  static constexpr char kPing = 6;
  static constexpr char kGoaway = 7;
  static constexpr char kClosed = -1;

  void Write(absl::string_view bytes) {
    // Errors are ignored: if the server has closed, the reads show it.
    static_cast<void>(!send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
  }
  void SendFrame(char type, const std::string& payload, char flags = 0) {
    const std::string head = {0, 0, static_cast<char>(payload.size()), type, flags, 0, 0, 0, 0};
    Write(head + payload);
  }
  bool Read(size_t count, std::string* out) {
    out->resize(count);
    return count == 0 || recv(socket_, out->data(), count, MSG_WAITALL) == ssize_t(count);
  }
  // Reads a frame and returns its type, or kClosed.
  char ReadFrame() {
    std::string head;
    if (!Read(9, &head)) return kClosed;
    const auto byte = [&](size_t i) { return size_t{static_cast<unsigned char>(head[i])}; };
    if (!Read(byte(0) << 16 | byte(1) << 8 | byte(2), &payload_)) return kClosed;
    is_answer_ = head[4] == 1;
    return head[3];
  }

  const int socket_;
  bool is_answer_ = false;
  std::string payload_;
};

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SERVER_HTTP2_PEER_H_
