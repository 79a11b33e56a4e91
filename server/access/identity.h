#ifndef QKSERVE_SERVER_ACCESS_IDENTITY_H_
#define QKSERVE_SERVER_ACCESS_IDENTITY_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "grpcpp/security/auth_context.h"

namespace qkserve {

// The most bytes of an identity, as many as SPIFFE allows. An identity is the name of a caller that
// has proved who it is. It has 1 to 2048 visible ASCII characters. The operator's files, the log
// and metrics show it.
inline constexpr size_t kIdentityBytesMax = 2048;

// This name stands for every caller in an access file. No caller can have it.
inline constexpr char kAnyone[] = "anyone";

// The tenant of callers whose names are beyond kTenantsMax. No caller can have this name.
inline constexpr char kOtherTenants[] = "other";

// True if a caller may have this name. No name begins with '#', because '#' begins a comment in the
// files.
bool IsIdentity(absl::string_view name);

// Returns the rule of IsIdentity, for errors.
std::string IdentityRule();

// Returns the identity of a verified client certificate: its URI name (SPIFFE IDs are URIs), else
// its first DNS name, else its common name. Characters that an identity cannot have, and '%', are
// percent-encoded: "Search%20Team". Empty: the peer has shown no certificate, or a certificate with
// more than one URI, which SPIFFE forbids, or a certificate whose name is missing or longer than
// kIdentityBytesMax.
//
// `peer` must come from a server that verifies client certificates, because gRPC shows the names of
// unverified certificates, too.
std::string IdentityOfCertificate(const grpc::AuthContext& peer);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ACCESS_IDENTITY_H_
