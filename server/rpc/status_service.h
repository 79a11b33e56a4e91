#ifndef QKSERVE_SERVER_RPC_STATUS_SERVICE_H_
#define QKSERVE_SERVER_RPC_STATUS_SERVICE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/byte_budget.h"
#include "base/clock.h"
#include "core/batching/batcher.h"
#include "core/key_sets/key_set_store.h"
#include "qkserve/v1/status.pb.h"
#include "server/observe/call_recorder.h"
#include "server/rpc/wire_service.h"

namespace qkserve {

// The RPCs of qkserve.v1.StatusService.
class StatusService final : public WireService {
 public:
  struct Options {
    std::string kernel;
    std::string key_set_kernel;
    double gflops_per_worker = 0;
    int64_t workers = 0;
  };

  // The pointers must outlive the service. Uptime counts from here.
  StatusService(const Options& options, const Batcher* batcher, const ByteBudget* budget,
                const KeySetStore* key_sets, const CallRecorder* recorder, const Clock* clock)
      : options_(options),
        batcher_(*batcher),
        budget_(*budget),
        key_sets_(*key_sets),
        recorder_(*recorder),
        clock_(*clock),
        started_(clock->Now()) {
    AddUnary<v1::GetStatusRequest, v1::GetStatusResponse>(
        "/qkserve.v1.StatusService/GetStatus", [this](auto* context, auto* wire, auto* response) {
          return GetStatus(context, wire->status, response);
        });
  }

 private:
  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* context,
                                      const absl::Status& status, v1::GetStatusResponse* response);

  const Options options_;
  const Batcher& batcher_;
  const ByteBudget& budget_;
  const KeySetStore& key_sets_;
  const CallRecorder& recorder_;
  const Clock& clock_;
  const absl::Time started_;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_STATUS_SERVICE_H_
