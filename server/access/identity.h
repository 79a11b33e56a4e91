#ifndef QKSERVE_SERVER_ACCESS_IDENTITY_H_
#define QKSERVE_SERVER_ACCESS_IDENTITY_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "grpcpp/security/auth_context.h"

namespace qkserve {

// The name of a caller that has proved who it is. It is in the files of an operator, in the log and
// in metrics: 1 to 2048 visible ASCII characters. SPIFFE allows 2048 bytes.
inline constexpr size_t kIdentityBytesMax = 2048;

// Stands for every caller in an access file. No caller has it as its name.
inline constexpr char kAnyone[] = "anyone";

// The tenant of callers whose names are one too many. No caller has it as its name.
inline constexpr char kOtherTenants[] = "other";

// True if a caller may have this name. '#' begins a comment in the files, so no name begins with
// it.
bool IsIdentity(absl::string_view name);

// The identity of a verified client certificate: its URI name, as SPIFFE IDs are; else its first
// DNS name; else its common name. Characters that an identity cannot have, and '%', are
// percent-encoded: "Search%20Team". Empty: the peer has shown no certificate, or one with more than
// one URI, which SPIFFE forbids, or without a name of at most kIdentityBytesMax.
//
// `peer` is that of a server that verifies client certificates: gRPC shows names of others, too.
std::string IdentityOfCertificate(const grpc::AuthContext& peer);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ACCESS_IDENTITY_H_
