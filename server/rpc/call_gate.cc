#include "server/rpc/call_gate.h"

#include "server/observe/trace_context.h"

namespace qkserve {

absl::StatusOr<Grant> CallGate::LetIn(grpc::ServerContextBase& context,
                                      std::optional<Method> method) const {
  absl::StatusOr<Grant> grant = access_.Authenticate(context);
  if (!grant.ok() && method.has_value()) {
    EchoRequestTags(context);
    recorder_.RecordCall(context, *method, grant.status(), recorder_.Now(), "");
  }
  return grant;
}

}  // namespace qkserve
