#ifndef QKSERVE_TOOLS_LOAD_LANE_H_
#define QKSERVE_TOOLS_LOAD_LANE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/generic/generic_stub.h"
#include "qkserve/v1/scoring.pb.h"
#include "tools/load/pacer.h"
#include "tools/load/request_set.h"
#include "tools/load/run_load.h"

namespace qkserve {

// What the lanes of a load share.
struct LaneContext {
  LaneContext(const LoadOptions& options, const LoadTarget& target, const Clock* clock,
              LoadRecorder* recorder, int lanes);

  absl::Duration Now() const { return clock->Now() - begin; }

  // The request of that number was answered, of the warm-up's too.
  void Tell(int64_t sequence, const absl::Status& status);

  // The first UNAVAILABLE, where there was no other answer.
  absl::Status NobodyThere() const;

  const LoadOptions& options;
  const LoadTarget& target;
  const Clock* const clock;
  LoadRecorder* const recorder;
  const int lanes;
  const absl::Duration end;      // of sending
  const int64_t first_requests;  // those that are numbered below
  absl::Time begin;              // set before the lanes start

  std::atomic<bool> stop{false};    // send no more
  std::atomic<bool> cancel{false};  // and wait no more
  // All of the first requests were UNAVAILABLE, before any was answered otherwise: send no more.
  std::atomic<bool> nobody_there{false};
  std::atomic<int> running{0};  // lanes

 private:
  mutable Mutex mutex_;
  bool seen_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t refused_ ABSL_GUARDED_BY(mutex_) = 0;  // of the first requests
  absl::Status unavailable_ ABSL_GUARDED_BY(mutex_);
};

// A completion queue with connections. One thread receives, and in a closed loop sends as well; in
// an open loop another one sends, and sleeps between: a completion queue wakes by the millisecond.
class Lane {
 public:
  // Takes every lanes-th channel, from `index` on. `context` must outlive it.
  Lane(int index, LaneContext* context);
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  ~Lane();  // after Join

  void Start();
  void Join();

 private:
  struct Call;

  void Receive();
  void SendOnSchedule();
  void WaitForRoom();

  void Begin(Call& call, absl::Duration intended);
  void Completed(Call& call);
  void Record(Call& call, absl::Duration answered);
  void GoOn(Call& call, bool failed);
  void CancelAll();

  Call* TakeCall();
  void ReturnCall(Call* call);

  const int index_;
  LaneContext& context_;
  const bool open_loop_;
  grpc::CompletionQueue queue_;
  std::vector<grpc::GenericStub> stubs_;
  RequestPicker picker_;
  Pacer pacer_;             // of an open loop
  int64_t sequence_ = 0;    // of the sending thread
  v1::Receipt receipt_;     // of the receiving thread
  bool cancelled_ = false;  // likewise

  std::vector<std::unique_ptr<Call>> calls_ ABSL_GUARDED_BY(mutex_);
  std::vector<Call*> free_ ABSL_GUARDED_BY(mutex_);
  Mutex mutex_;
  CondVar room_;
  std::atomic<int64_t> in_flight_{0};
  std::atomic<bool> all_sent_{false};

  std::thread receiver_;
  std::thread sender_;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_LANE_H_
