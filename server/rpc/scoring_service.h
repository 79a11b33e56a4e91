#ifndef QKSERVE_SERVER_RPC_SCORING_SERVICE_H_
#define QKSERVE_SERVER_RPC_SCORING_SERVICE_H_

#include <cstdint>
#include <string>

#include "base/byte_budget.h"
#include "base/clock.h"
#include "core/batching/batcher.h"
#include "core/key_sets/key_set_store.h"
#include "qkserve/v1/scoring.pb.h"
#include "server/admission/call_count.h"
#include "server/observe/call_recorder.h"
#include "server/rpc/wire_message.h"
#include "server/rpc/wire_service.h"

namespace qkserve {

// The RPCs of qkserve.v1.ScoringService: wire -> admission -> batcher -> wire.
//
// A call is decoded and admitted on gRPC's thread, in constant time, and answered on the thread
// that computed it.
class ScoringService final
    : public WireService,
      private grpc::MessageAllocator<WireMessage<v1::ScoreRequest>, v1::ScoreResponse> {
 public:
  using Request = WireMessage<v1::ScoreRequest>;

  struct Options {
    int64_t message_bytes_max = 0;
    std::string kernel;  // of inline keys
    std::string key_set_kernel;
    double gflops_per_worker = 1.0;  // for the prediction of costs
  };

  // The pointers must outlive the service and the calls.
  ScoringService(const Options& options, Batcher* batcher, ByteBudget* budget,
                 const KeySetStore* key_sets, const CallRecorder* recorder, const Clock* clock);

  // Calls that have not been answered whole.
  CallCount& calls() { return calls_; }

 private:
  grpc::ServerUnaryReactor* Score(grpc::CallbackServerContext* context, const Request* wire,
                                  v1::ScoreResponse* response);
  grpc::MessageHolder<Request, v1::ScoreResponse>* AllocateMessages() override;

  const Options options_;
  Batcher& batcher_;
  ByteBudget& budget_;
  const KeySetStore& key_sets_;
  const CallRecorder& recorder_;
  const Clock& clock_;
  CallCount calls_;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_SCORING_SERVICE_H_
