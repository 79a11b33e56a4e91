#include "client/tls.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "base/invalid_argument.h"
#include "base/pem.h"
#include "base/status_macros.h"
#include "base/visible_ascii.h"

namespace qkserve {
namespace {

// Adds the client's own certificate and key.
absl::Status AddIdentity(const TlsOptions& options, grpc::SslCredentialsOptions* out) {
  ASSIGN_OR_RETURN(PemFile chain, ReadPemFile("tls.cert_file ", options.cert_file));
  ASSIGN_OR_RETURN(PemFile key, ReadPemFile("tls.key_file ", options.key_file));
  RETURN_IF_ERROR(CheckIdentity(chain, key).status());
  out->pem_cert_chain = std::move(chain.text);
  out->pem_private_key = std::move(key.text);
  return absl::OkStatus();
}

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
};

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeTlsCredentials(
    const TlsOptions& options) {
  if (options.cert_file.empty() != options.key_file.empty()) {
    return InvalidArgument(options.key_file.empty() ? "tls.cert_file requires tls.key_file"
                                                    : "tls.key_file requires tls.cert_file");
  }
  if (!IsVisibleAscii(options.server_name)) {
    return InvalidArgument("tls.server_name must be a host's name");
  }
  grpc::SslCredentialsOptions credentials;
  if (!options.ca_file.empty()) {
    ASSIGN_OR_RETURN(PemFile roots, ReadPemFile("tls.ca_file ", options.ca_file));
    RETURN_IF_ERROR(CheckCertificates(roots).status());
    credentials.pem_root_certs = std::move(roots.text);
  }
  if (!options.cert_file.empty()) RETURN_IF_ERROR(AddIdentity(options, &credentials));
  return grpc::SslCredentials(credentials);
}

absl::string_view HandshakeHint(absl::string_view message) {
  for (const auto& [text, meaning] : kHints) {
    if (absl::StrContains(message, text)) return meaning;
  }
  // gRPC says "last error" only about connections that were never established.
  if (!absl::StrContains(message, "last error: ")) return "";
  for (const char* const text : {"Socket closed", "Endpoint read failed"}) {
    if (absl::StrContains(message, text)) return kClosedAtOnce;
  }
  return "";
}

}  // namespace qkserve
