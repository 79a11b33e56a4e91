#ifndef QKSERVE_SERVER_RPC_SCORING_SERVICE_H_
#define QKSERVE_SERVER_RPC_SCORING_SERVICE_H_

#include "absl/time/time.h"
#include "base/clock.h"
#include "core/batching/batcher.h"
#include "qkserve/v1/scoring.pb.h"
#include "server/admission/admit_score.h"
#include "server/admission/in_flight_calls.h"
#include "server/admission/tenants.h"
#include "server/observe/call_recorder.h"
#include "server/rpc/reply_watch.h"
#include "server/rpc/wire_service.h"

namespace qkserve {

// The RPCs of qkserve.v1.ScoringService: wire -> admission -> batcher -> wire.
//
// A call is decoded and admitted on gRPC's thread, in constant time. The thread that computed the
// result answers the call.
class ScoringService final
    : public WireService,
      private grpc::MessageAllocator<WireMessage<v1::ScoreRequest>, v1::ScoreResponse> {
 public:
  // The pointers must outlive the service and the calls. A call is cancelled if its reply is not
  // taken within `reply_timeout`.
  ScoringService(AdmissionOptions admission, Batcher* batcher, Tenants* tenants,
                 InFlightCalls* calls, const CallGate* gate, const CallRecorder* recorder,
                 const Clock* clock, absl::Duration reply_timeout);

 private:
  using Request = WireMessage<v1::ScoreRequest>;
  class Call;

  grpc::MessageHolder<Request, v1::ScoreResponse>* AllocateMessages() override;

  const AdmissionOptions admission_;
  Batcher& batcher_;
  Tenants& tenants_;
  const bool has_identities_;  // true if callers can have identities
  InFlightCalls& calls_;
  const CallRecorder& recorder_;
  const Clock& clock_;
  ReplyWatch replies_;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_SCORING_SERVICE_H_
