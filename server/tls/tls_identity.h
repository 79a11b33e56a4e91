#ifndef QKSERVE_SERVER_TLS_TLS_IDENTITY_H_
#define QKSERVE_SERVER_TLS_TLS_IDENTITY_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace qkserve {

// The values of --tls_cert_file, --tls_key_file and --tls_client_ca_file.
struct TlsPaths {
  std::string cert = {};
  std::string key = {};
  std::string client_ca = {};  // empty: clients are not asked for certificates
};

// The server's side of TLS, in PEM format.
struct TlsIdentity {
  std::string chain;      // the server's certificate, then the certificates up to its authority
  std::string key;        // the key of the first certificate, without a pass phrase
  std::string client_ca;  // the authorities that sign certificates of clients
  absl::Time expires;     // when the server's certificate expires
};

// Makes an identity from the contents of the files, in the order of TlsPaths. OpenSSL (gRPC) and
// GnuTLS (HTTP) both accept it. INVALID_ARGUMENT names the file and says what is wrong: the format,
// a key of another certificate, or a certificate that has expired. UNAVAILABLE: the certificate is
// not valid yet.
absl::StatusOr<TlsIdentity> CheckTlsIdentity(const TlsPaths& paths,
                                             const std::vector<std::string>& contents,
                                             absl::Time now);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_TLS_TLS_IDENTITY_H_
