#ifndef QKSERVE_SERVER_RPC_CALL_GATE_H_
#define QKSERVE_SERVER_RPC_CALL_GATE_H_

#include <optional>

#include "absl/status/statusor.h"
#include "grpcpp/server_context.h"
#include "server/access/access_control.h"
#include "server/observe/call_recorder.h"

namespace qkserve {

// Decides if a call is let in. Every call except health checks passes the gate when it begins, even
// a call of an unknown method. A unary call passes when its message has arrived, and a stream
// before its first message is read. Thread-safe.
class CallGate {
 public:
  // The pointers must outlive the gate.
  CallGate(const AccessControl* access, const CallRecorder* recorder)
      : access_(*access), recorder_(*recorder) {}

  // True if callers can have identities. The answer never changes.
  bool has_identities() const { return access_.has_identities(); }

  // Returns the caller's identity and permissions. Errors are those of AccessControl::Authenticate.
  // After an error, the gate has recorded a call of `method` and has echoed the call's request
  // tags, and the service must only end the call. If `method` is nullopt, the gate neither records
  // nor echoes.
  absl::StatusOr<Grant> LetIn(grpc::ServerContextBase& context, std::optional<Method> method) const;

  // Checks a call again that was let in and is about to change something. The newest contents of
  // the files decide. Does not record a refusal.
  absl::StatusOr<Grant> LookAgain(const grpc::ServerContextBase& context) const {
    return access_.Authenticate(context);
  }

 private:
  const AccessControl& access_;
  const CallRecorder& recorder_;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_CALL_GATE_H_
