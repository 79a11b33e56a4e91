#ifndef QKSERVE_SERVER_LIFECYCLE_HEALTH_CHECK_H_
#define QKSERVE_SERVER_LIFECYCLE_HEALTH_CHECK_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace qkserve {

// TLS of a health check. Paths of files in PEM format.
struct CheckTls {
  // Authorities that may sign the server's certificate. Empty: any certificate is accepted. That is
  // enough for a server on the same machine: the check tells it nothing, and learns one word.
  std::string ca_file = {};
  // The name that the certificate must be for. Empty: the host of the address.
  std::string server_name = {};
  // For a server that wants a certificate. Both or neither.
  std::string cert_file = {};
  std::string key_file = {};

  bool operator==(const CheckTls&) const = default;

  // INVALID_ARGUMENT: one of cert_file and key_file is missing; the message begins with a flag.
  absl::Status Validate() const;
};

// Asks a running server for its health (grpc.health.v1). nullopt: in plain text. OK: it serves.
// UNAVAILABLE: it does not serve, or nobody answers. NOT_FOUND and the like: a file cannot be read.
// INVALID_ARGUMENT: a file does not have what it should. Other errors are Validate's, or the
// call's.
absl::Status CheckHealth(const std::string& address, const std::optional<CheckTls>& tls,
                         absl::Duration timeout);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_HEALTH_CHECK_H_
