#ifndef QKSERVE_SERVER_LIFECYCLE_HEALTH_CHECK_H_
#define QKSERVE_SERVER_LIFECYCLE_HEALTH_CHECK_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace qkserve {

// The TLS options of a health check. Files are in PEM format.
struct CheckTls {
  // Authorities that may sign the server's certificate. Empty: any certificate is accepted. That is
  // enough for a server on the same machine, because the check tells the server nothing and learns
  // one word.
  std::string ca_file = {};
  // The name that the certificate must have. Empty: the host of the address.
  std::string server_name = {};
  // A certificate and its key, for a server that wants a certificate. Both are given, or neither.
  std::string cert_file = {};
  std::string key_file = {};

  bool operator==(const CheckTls&) const = default;

  // Checks the options. INVALID_ARGUMENT: only one of cert_file and key_file is given. The message
  // begins with a flag.
  absl::Status Validate() const;
};

// Asks a running server for its health (grpc.health.v1). `tls` is nullopt for plain text. OK: the
// server serves. UNAVAILABLE: the server does not serve, or nobody answers. NOT_FOUND and the like:
// a file cannot be read. INVALID_ARGUMENT: the contents of a file are wrong. Other errors come from
// Validate or from the call.
absl::Status CheckHealth(const std::string& address, const std::optional<CheckTls>& tls,
                         absl::Duration timeout);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_HEALTH_CHECK_H_
