#include "client/connection_hint.h"

#include "absl/strings/match.h"

namespace qkserve {
namespace {

constexpr char kUntrusted[] =
    "the server's certificate is not from an authority that is trusted here, or has expired";
constexpr char kNoHttp2[] = "the server does not offer HTTP/2 over TLS";
constexpr char kRefused[] =
    "the server refuses the TLS handshake; it may want a client certificate that it trusts";

// A server that wants TLS or a certificate, and does not get it, may close the connection without a
// message.
constexpr char kClosedAtOnce[] =
    "the server closes connections at once; it may want TLS, or a client certificate that it "
    "trusts";

constexpr char kNothingListens[] = "nothing listens at the address";

struct Hint {
  const char* text;  // a part of an error text of gRPC or OpenSSL
  const char* meaning;
  bool only_first = false;  // holds only for a connection that was never established
};

// The first text that a message contains decides.
constexpr Hint kHints[] = {
    {"certificate verify failed", kUntrusted},
    // The certificate was signed by another authority of the same name. These three texts are for
    // an elliptic curve, for RSA, and for an elliptic curve in OpenSSL 3.5.
    {"asn1 encoding routines", kUntrusted},
    {"rsa routines", kUntrusted},
    {"provider signature failure", kUntrusted},
    {"is not in peer certificate", "the server's certificate is for another name"},
    {"wrong version number", "the server does not speak TLS"},
    {"no application protocol", kNoHttp2},
    {"missing selected ALPN", kNoHttp2},
    {"tlsv1 alert ", kRefused},
    {"tlsv13 alert ", kRefused},
    {"sslv3 alert ", kRefused},
    {"C-ares status is not ARES_SUCCESS", "the host's name cannot be resolved"},
    {"Trying to connect an http1.x server",
     "an HTTP/1 server answers at this port; check the port of gRPC"},
    {"Connection refused", kNothingListens, true},
    {"No such file or directory", kNothingListens, true},  // of a unix socket
    {"Socket closed", kClosedAtOnce, true},
    {"Endpoint read failed", kClosedAtOnce, true},
};

}  // namespace

absl::string_view ConnectionHint(absl::string_view message) {
  // gRPC says "last error" only about connections that were never established.
  const bool first = absl::StrContains(message, "last error: ");
  for (const Hint& hint : kHints) {
    if (hint.only_first && !first) continue;
    if (absl::StrContains(message, hint.text)) return hint.meaning;
  }
  return "";
}

}  // namespace qkserve
