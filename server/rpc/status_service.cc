#include "server/rpc/status_service.h"

#include "qkserve/v1/status.pb.h"
#include "qkserve/version.h"

namespace qkserve {

StatusService::StatusService(const ComputeSetup& compute, const ServerParts& parts,
                             const CallGate* gate, const CallRecorder* recorder)
    : WireService(gate) {
  AddAnswer<v1::GetStatusRequest, v1::GetStatusResponse>(
      "/qkserve.v1.StatusService/GetStatus", Method::kGetStatus, *recorder,
      [=, started = recorder->Now()](auto& /*context*/, auto& /*grant*/, auto& /*request*/,
                                     auto& response) {
        const Batcher::Stats stats = parts.batcher->GetStats();
        response.set_version(kVersion);
        response.set_kernel(compute.kernel);
        response.set_gflops_per_worker(compute.gflops_per_worker);
        response.set_workers(compute.workers);
        response.set_uptime_ns(absl::ToInt64Nanoseconds(recorder->Now() - started));
        response.set_queued_requests(stats.queue.requests());
        response.set_queued_cost_ns(absl::ToInt64Nanoseconds(stats.queue.cost()));
        response.set_in_flight_requests(stats.in_flight);
        response.set_in_flight_bytes(parts.budget->bytes());
        response.set_in_flight_bytes_max(parts.budget->bytes_max());
        response.set_requests_answered(stats.requests_answered);
        response.set_batches(stats.batches);
        response.set_key_sets(parts.key_sets->count());
        response.set_key_set_bytes(parts.key_sets->budget().bytes());
        response.set_key_set_bytes_max(parts.key_sets->budget().bytes_max());
        response.set_key_set_kernel(compute.key_set_kernel);
        return absl::OkStatus();
      });
}

}  // namespace qkserve
