#ifndef QKSERVE_SERVER_RPC_KEY_SET_SERVICE_H_
#define QKSERVE_SERVER_RPC_KEY_SET_SERVICE_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "base/byte_budget.h"
#include "base/clock.h"
#include "base/task_pool.h"
#include "core/key_sets/key_set_store.h"
#include "qkserve/v1/key_set.pb.h"
#include "server/admission/in_flight_calls.h"
#include "server/observe/call_recorder.h"
#include "server/rpc/idle_watch.h"
#include "server/rpc/wire_message.h"
#include "server/rpc/wire_service.h"

namespace qkserve {

// The RPCs of qkserve.v1.KeySetService. The service's own threads pack keys, use files and wait.
// gRPC's threads do none of this.
class KeySetService final : public WireService {
 public:
  // The pointers must outlive the service and the calls. Chunks are charged to `budget`. An upload
  // ends if it completes no message for `upload_idle_timeout`. Its messages, once decompressed,
  // have at most `message_bytes_max` bytes. At most `deletions_max` deletions are under way.
  KeySetService(KeySetStore* key_sets, ByteBudget* budget, InFlightCalls* calls,
                const CallGate* gate, const CallRecorder* recorder, const Clock* clock,
                absl::Duration upload_idle_timeout, int64_t message_bytes_max,
                int64_t deletions_max);

  // Refuses changes from now on (UNAVAILABLE). Changes under way continue. An upload ends if it
  // completes no message for `upload_idle_max`.
  void RefuseNewCalls(absl::Duration upload_idle_max);

 private:
  template <class Request, class Response>
  class UploadReactor;

  absl::Status GetKeySet(const grpc::ServerContextBase& context, const Grant& grant,
                         const v1::GetKeySetRequest& request,
                         v1::GetKeySetResponse& response) const;
  absl::Status ListKeySets(const grpc::ServerContextBase& context, const Grant& grant,
                           const v1::ListKeySetsRequest& request,
                           v1::ListKeySetsResponse& response) const;
  grpc::ServerUnaryReactor* DeleteKeySet(const Grant& grant, grpc::CallbackServerContext* context,
                                         const WireMessage<v1::DeleteKeySetRequest>* wire,
                                         v1::DeleteKeySetResponse* response);

  absl::Status Delete(const grpc::ServerContextBase& context, const std::string& name,
                      int64_t* version);

  // Returns UNAVAILABLE while the server drains.
  absl::Status CheckServing() const;

  KeySetStore& key_sets_;
  ByteBudget& budget_;
  const int64_t message_bytes_max_;
  const int64_t deletions_max_;
  const CallGate& gate_;
  const CallRecorder& recorder_;
  const absl::Duration upload_idle_timeout_;
  std::atomic<bool> is_draining_{false};
  std::atomic<int64_t> uploads_{0};
  std::atomic<int64_t> deletions_{0};
  InFlightCalls& calls_;        // calls that change something
  TaskPool upload_threads_{4};  // its tasks use the members above
  IdleWatch idle_;              // last, because it schedules tasks
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_KEY_SET_SERVICE_H_
