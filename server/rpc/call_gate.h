#ifndef QKSERVE_SERVER_RPC_CALL_GATE_H_
#define QKSERVE_SERVER_RPC_CALL_GATE_H_

#include <optional>

#include "absl/status/statusor.h"
#include "grpcpp/server_context.h"
#include "server/access/access_control.h"
#include "server/observe/call_recorder.h"

namespace qkserve {

// The place that every call passes when it begins: unary calls when their message has arrived,
// streams before a message is read, unknown methods too. Thread-safe.
class CallGate {
 public:
  // The pointers must outlive the gate.
  CallGate(const AccessControl* access, const CallRecorder* recorder)
      : access_(*access), recorder_(*recorder) {}

  // True if callers can have identities. It does not change.
  bool has_identities() const { return access_.has_identities(); }

  // Tells who the call is and what it may do. If it is refused (UNAUTHENTICATED), it has been
  // recorded as a call of `method`, and its request tags are echoed: the caller only ends it.
  // nullopt: calls of this method are not counted.
  absl::StatusOr<Grant> LetIn(grpc::ServerContextBase& context, std::optional<Method> method) const;

  // The same for a call that was let in before and is about to change something, with the newest
  // contents of the files. It is not recorded.
  absl::StatusOr<Grant> LookAgain(const grpc::ServerContextBase& context) const {
    return access_.Authenticate(context);
  }

 private:
  const AccessControl& access_;
  const CallRecorder& recorder_;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_CALL_GATE_H_
