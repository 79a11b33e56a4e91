#ifndef QKSERVE_CLIENT_TLS_H_
#define QKSERVE_CLIENT_TLS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "grpcpp/security/credentials.h"
#include "qkserve/client.h"

// TLS of the client's connections. This header is not for users of the library.

namespace qkserve {

// Reads and checks the files. gRPC would find a mistake only at the first call, and would not say
// which file is wrong. Errors are those of Client::Create.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeTlsCredentials(
    const TlsOptions& options);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_TLS_H_
