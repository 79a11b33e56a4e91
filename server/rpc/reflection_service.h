#ifndef QKSERVE_SERVER_RPC_REFLECTION_SERVICE_H_
#define QKSERVE_SERVER_RPC_REFLECTION_SERVICE_H_

#include <set>
#include <string>

#include "grpc/reflection/v1/reflection.pb.h"
#include "server/rpc/wire_service.h"

namespace qkserve {

// grpc.reflection.v1.ServerReflection, which tools such as grpcurl ask for services and their
// messages, and v1alpha, which older tools ask. Both have the same messages. It replaces gRPC's own
// service, which needs sixty times the bytes of a request's unknown fields.
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
