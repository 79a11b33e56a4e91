#include "server/rpc/status_service.h"

#include "qkserve/version.h"
#include "server/rpc/grpc_status.h"

namespace qkserve {

grpc::ServerUnaryReactor* StatusService::GetStatus(grpc::CallbackServerContext* context,
                                                   const absl::Status& status,
                                                   v1::GetStatusResponse* response) {
  const absl::Time begin = clock_.Now();
  const Batcher::Stats stats = batcher_.GetStats();
  response->set_version(kVersion);
  response->set_kernel(options_.kernel);
  response->set_gflops_per_worker(options_.gflops_per_worker);
  response->set_workers(options_.workers);
  response->set_uptime_ns(absl::ToInt64Nanoseconds(clock_.Now() - started_));
  response->set_queued_requests(stats.queue.requests());
  response->set_queued_cost_ns(absl::ToInt64Nanoseconds(stats.queue.cost()));
  response->set_in_flight_requests(stats.in_flight);
  response->set_in_flight_bytes(budget_.bytes());
  response->set_in_flight_bytes_max(budget_.bytes_max());
  response->set_requests_answered(stats.requests_answered);
  response->set_batches(stats.batches);
  response->set_key_sets(key_sets_.count());
  response->set_key_set_bytes(key_sets_.budget().bytes());
  response->set_key_set_bytes_max(key_sets_.budget().bytes_max());
  response->set_key_set_kernel(options_.key_set_kernel);
  recorder_.RecordCall(Method::kGetStatus, status, begin);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status, *context));
  return reactor;
}

}  // namespace qkserve
