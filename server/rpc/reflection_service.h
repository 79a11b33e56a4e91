#ifndef QKSERVE_SERVER_RPC_REFLECTION_SERVICE_H_
#define QKSERVE_SERVER_RPC_REFLECTION_SERVICE_H_

#include <set>
#include <string>

#include "grpc/reflection/v1/reflection.pb.h"
#include "server/rpc/wire_service.h"

namespace qkserve {

// The service grpc.reflection.v1.ServerReflection and, for older tools, v1alpha, which has the same
// messages. Tools such as grpcurl ask for the server's services and their messages. This class
// replaces gRPC's own service, which needs 60 bytes of memory for each byte of unknown fields in a
// request.
class ReflectionService final : public WireService {
 public:
  // `services` are the names of the server's services. The gate refuses callers here as in these
  // services. The gate must outlive the service and the calls.
  ReflectionService(std::set<std::string> services, const CallGate* gate);

 private:
  class Stream;
  using Request = grpc::reflection::v1::ServerReflectionRequest;
  using Response = grpc::reflection::v1::ServerReflectionResponse;

  void Answer(const Request& request, Response& response) const;

  const std::set<std::string> services_;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_REFLECTION_SERVICE_H_
