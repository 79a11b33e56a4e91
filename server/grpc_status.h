#ifndef QKSERVE_SERVER_GRPC_STATUS_H_
#define QKSERVE_SERVER_GRPC_STATUS_H_

#include <string>

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace qkserve {

// The codes of Abseil and gRPC are the same numbers.
inline grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

}  // namespace qkserve

#endif  // QKSERVE_SERVER_GRPC_STATUS_H_
