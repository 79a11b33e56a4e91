#ifndef QKSERVE_TESTS_SERVER_HTTP2_PEER_H_
#define QKSERVE_TESTS_SERVER_HTTP2_PEER_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace qkserve {

// A connection to 127.0.0.1 on which a test sends what it likes.
class TcpPeer {
 public:
  // If `receive_buffer_bytes` is 0, the system chooses the size of the buffer.
  explicit TcpPeer(int port, int receive_buffer_bytes = 0)
      : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer_bytes > 0) {
      EXPECT_EQ(setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
                           sizeof(receive_buffer_bytes)),
                0);
    }
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  TcpPeer(const TcpPeer&) = delete;
  TcpPeer& operator=(const TcpPeer&) = delete;
  ~TcpPeer() { close(socket_); }

  // Returns false if the server has closed the connection. Reads then fail, too.
  bool Write(absl::string_view bytes) {
    return send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == ssize_t(bytes.size());
  }
  // Returns false if the server has closed the connection.
  bool Read(size_t count, std::string* out) {
    out->resize(count);
    return count == 0 || recv(socket_, out->data(), count, MSG_WAITALL) == ssize_t(count);
  }
  // Reads until the server has closed the connection.
  void ReadToEnd() {
    for (std::string byte; Read(1, &byte);) {
    }
  }

 private:
  const int socket_;
};

// A client that speaks HTTP/2 frame by frame. It does things that gRPC's own client does not do,
// and shows frames that gRPC's client hides.
class Http2Peer {
 public:
  static constexpr char kData = 0;
  static constexpr char kHeaders = 1;
  static constexpr char kReset = 3;
  static constexpr char kSettings = 4;
  static constexpr char kPing = 6;
  static constexpr char kGoaway = 7;
  static constexpr char kWindow = 8;
  static constexpr char kContinuation = 9;
  static constexpr char kClosed = -1;

  static constexpr char kAcknowledged = 1;
  static constexpr char kEndStream = 1;
  static constexpr char kEndHeaders = 4;

  // The setting for how many bytes of a reply the server may send before the peer allows more.
  static std::string ReplyWindow(uint32_t bytes) {
    return std::string({'\0', '\4'}) + BigEndian(bytes);
  }

  // Connects to 127.0.0.1:`port` and sends the preface and the settings.
  explicit Http2Peer(int port, const std::string& settings = "", int receive_buffer_bytes = 0)
      : connection_(port, receive_buffer_bytes) {
    connection_.Write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    SendFrame(kSettings, settings);
  }

  void SendPing() { SendFrame(kPing, "12345678"); }

  // Returns false if the server has closed the connection.
  bool SendFrame(char type, absl::string_view payload, char flags = 0, int stream = 0) {
    const std::string size = BigEndian(static_cast<uint32_t>(payload.size()));
    const std::string head = size.substr(1) + type + flags + BigEndian(uint32_t(stream));
    return connection_.Write(absl::StrCat(head, payload));
  }

  // The headers of a call in HPACK, without its tables. Values must have less than 127 bytes.
  static std::string CallHeaders(absl::string_view method) {
    return Header(":method", "POST") + Header(":scheme", "http") + Header(":path", method) +
           Header(":authority", "test") + Header("te", "trailers") +
           Header("content-type", "application/grpc");
  }
  static std::string Header(absl::string_view name, absl::string_view value) {
    return absl::StrCat(std::string(1, '\0'), std::string(1, static_cast<char>(name.size())), name,
                        std::string(1, static_cast<char>(value.size())), value);
  }
  // A gRPC message: a zero byte (not compressed), the size, the bytes.
  static std::string Message(absl::string_view bytes) {
    return absl::StrCat(std::string(1, '\0'), BigEndian(static_cast<uint32_t>(bytes.size())),
                        bytes);
  }

  // Begins a call. The numbers of a client's streams must be odd and rise.
  void BeginCall(int stream, absl::string_view method) {
    SendFrame(kHeaders, CallHeaders(method), kEndHeaders, stream);
  }
  // Sends a whole call. The message has at most 16 KiB.
  void SendCall(int stream, absl::string_view method, absl::string_view message) {
    BeginCall(stream, method);
    SendFrame(kData, Message(message), kEndStream, stream);
  }

  // Reads frames until `count` pings were answered, or the server sends GOAWAY or closes the
  // connection. Returns how many were answered.
  int ReadPingAnswers(int count) {
    int answers = 0;
    while (answers < count) {
      const char type = ReadFrame();
      if (type == kGoaway || type == kClosed) break;
      if (type == kPing && flags_ == kAcknowledged) ++answers;
    }
    return answers;
  }

  // True if the server answers a ping.
  bool IsServed() {
    SendPing();
    return ReadPingAnswers(1) == 1;
  }

  // Waits until the server resets a call, or ends the connection.
  void AwaitRefusal() {
    char type = 0;
    while (type != kReset && type != kGoaway && type != kClosed) type = ReadFrame();
  }

  // Reads the server's settings and acknowledges them. Only then do the server's limits hold.
  void AcknowledgeSettings() {
    char type = 0;
    while (type != kSettings && type != kClosed) type = ReadFrame();
    SendFrame(kSettings, "", kAcknowledged);
  }

  // Waits for the reply of the only call. Returns false if the call failed.
  bool AwaitReply() {
    for (char type = 0; (type = ReadFrame()) != kClosed;) {
      if (type == kData) return true;
      if (type == kReset || (type == kHeaders && (flags_ & kEndStream) != 0)) return false;
    }
    return false;
  }

  // Reads the reply of `stream` as a slow client does. Until the server sends GOAWAY, takes only
  // what the windows allow. Then allows everything, so that the server sends the rest and ends the
  // connection at once. From then on, sends a window update after each frame, and pauses. Returns
  // the message, or "" if a part of it is missing or an update cannot be sent, because clients then
  // give up a call.
  std::string ReadReplyAfterGoaway(int stream, absl::Duration pause = absl::ZeroDuration()) {
    bool is_leaving = false;
    std::string reply;
    for (char type = 0; (type = ReadFrame()) != kClosed;) {
      if (type == kHeaders && (flags_ & kEndStream) != 0) return reply;
      if (type == kData) reply += payload_;
      if (type == kPing && flags_ != kAcknowledged) SendFrame(kPing, payload_, kAcknowledged);
      if (type == kGoaway && !std::exchange(is_leaving, true)) {
        for (const int each : {0, stream}) SendFrame(kWindow, BigEndian(1U << 30U), 0, each);
      } else if (is_leaving && !SendFrame(kWindow, BigEndian(1))) {
        return "";
      }
      if (is_leaving) absl::SleepFor(pause);
    }
    return "";
  }

  // Waits for a ping and answers it.
  void AnswerPing() {
    for (char type = 0; (type = ReadFrame()) != kClosed;) {
      if (type != kPing || flags_ == kAcknowledged) continue;
      SendFrame(kPing, payload_, kAcknowledged);
      return;
    }
  }

  // Waits until the server has closed the connection. Answers its pings, as a client must.
  void AwaitEnd() {
    for (char type = 0; (type = ReadFrame()) != kClosed;) {
      if (type == kPing && flags_ != kAcknowledged) SendFrame(kPing, payload_, kAcknowledged);
    }
  }
  // Waits for the end, too, but answers no ping.
  void AwaitEndInSilence() { connection_.ReadToEnd(); }

 private:
  static std::string BigEndian(uint32_t value) {
    return {static_cast<char>(value >> 24U), static_cast<char>(value >> 16U),
            static_cast<char>(value >> 8U), static_cast<char>(value)};
  }

  // Reads a frame and returns its type, or kClosed.
  char ReadFrame() {
    std::string head;
    if (!connection_.Read(9, &head)) return kClosed;
    const auto byte = [&](size_t i) { return size_t{static_cast<unsigned char>(head[i])}; };
    if (!connection_.Read(byte(0) << 16 | byte(1) << 8 | byte(2), &payload_)) return kClosed;
    flags_ = head[4];
    return head[3];
  }

  TcpPeer connection_;
  char flags_ = 0;  // of the last frame
  std::string payload_;
};

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SERVER_HTTP2_PEER_H_
