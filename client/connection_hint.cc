#include "client/connection_hint.h"

#include <utility>

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

// Parts of error texts of gRPC and OpenSSL, with their meanings. The first part that a text
// contains decides.
constexpr std::pair<const char*, const char*> kHints[] = {
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
};

}  // namespace

absl::string_view ConnectionHint(absl::string_view message) {
  for (const auto& [text, meaning] : kHints) {
    if (absl::StrContains(message, text)) return meaning;
  }
  // gRPC says "last error" only about connections that were never established.
  if (!absl::StrContains(message, "last error: ")) return "";
  // The second text is of a unix socket.
  for (const char* const text : {"Connection refused", "No such file or directory"}) {
    if (absl::StrContains(message, text)) return kNothingListens;
  }
  for (const char* const text : {"Socket closed", "Endpoint read failed"}) {
    if (absl::StrContains(message, text)) return kClosedAtOnce;
  }
  return "";
}

}  // namespace qkserve
