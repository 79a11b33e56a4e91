#ifndef QKSERVE_SERVER_RPC_UNKNOWN_METHODS_H_
#define QKSERVE_SERVER_RPC_UNKNOWN_METHODS_H_

#include "grpcpp/generic/async_generic_service.h"
#include "server/observe/call_recorder.h"
#include "server/rpc/call_gate.h"

namespace qkserve {

// Answers UNIMPLEMENTED to calls of methods that no service has. gRPC would do the same, but would
// not count the calls.
class UnknownMethods final : public grpc::CallbackGenericService {
 public:
  // The pointers must outlive the service and the calls.
  UnknownMethods(const CallGate* gate, const CallRecorder* recorder)
      : gate_(*gate), recorder_(*recorder) {}

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override;

 private:
  const CallGate& gate_;
  const CallRecorder& recorder_;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_UNKNOWN_METHODS_H_
