#ifndef QKSERVE_TOOLS_LOAD_SENDER_H_
#define QKSERVE_TOOLS_LOAD_SENDER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "client/retries.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/generic/generic_stub.h"
#include "qkserve/v1/scoring.pb.h"
#include "tools/load/request_set.h"
#include "tools/load/run_load.h"
#include "tools/load/schedule.h"

namespace qkserve {

// State that the senders of a load share. Thread-safe except for `begin`.
struct SenderContext {
  SenderContext(const LoadOptions& options, const LoadTarget& target, const Clock* clock,
                LoadRecorder* recorder, int senders)
      : options(options),
        target(target),
        clock(clock),
        recorder(recorder),
        senders(senders),
        retries(options.attempts) {}

  absl::Duration Now() const { return clock->Now() - begin; }

  // Records an answer. Call it for each answer, even in the warm-up. `sequence` numbers the
  // requests.
  void NoteAnswer(int64_t sequence, const absl::Status& status);

  // Returns the first UNAVAILABLE error if `nobody_there` is true or if no request ended otherwise.
  // Returns OK in all other cases.
  absl::Status NobodyThere() const;

  const LoadOptions& options;
  const LoadTarget& target;
  const Clock* const clock;
  LoadRecorder* const recorder;
  const int senders;
  Retries retries;
  // The time at which sending ends.
  const absl::Duration end = options.warm_up + options.duration;
  // The number of requests that count as the first: one for each caller, or 10 in an open loop. The
  // `sequence` of a first request is smaller than this.
  const int64_t first_requests = options.concurrency > 0 ? options.concurrency : 10;
  absl::Time begin;  // set before the senders start

  std::atomic<bool> stop{false};    // true: send no more
  std::atomic<bool> cancel{false};  // true: cancel the requests in flight
  // True if all first requests ended with UNAVAILABLE before any request ended otherwise. No more
  // requests are then sent.
  std::atomic<bool> nobody_there{false};
  std::atomic<int> running{0};  // number of senders that run

 private:
  mutable Mutex mutex_;
  bool seen_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t refused_ ABSL_GUARDED_BY(mutex_) = 0;  // first requests that ended with UNAVAILABLE
  absl::Status unavailable_ ABSL_GUARDED_BY(mutex_);
};

// Sends a share of a load's requests. A sender has a completion queue and some of the connections.
// One thread receives, and in a closed loop this thread also sends. In an open loop a second thread
// sends and sleeps between requests, because a completion queue wakes only by the millisecond.
class Sender {
 public:
  // Uses channels index, index + senders, index + 2·senders, ..., and any channel for retries.
  // `context` must outlive this object.
  Sender(int index, SenderContext* context);
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;
  ~Sender();  // call Join first

  void Start();
  // Blocks until every request is answered, or cancelled because context.cancel was set.
  void Join();

 private:
  struct Call;

  void Receive();
  void SendOnSchedule();
  void WaitForRoom();

  void Begin(Call& call, absl::Duration intended);
  void SendAttempt(Call& call);
  void Completed(Call& call);
  bool Retry(Call& call);
  void Wake(Call& call, absl::Duration after);
  void Record(Call& call, absl::Duration answered);
  void SendNext(Call& call, bool failed);
  void CancelAll();

  Call* TakeCall();
  void ReturnCall(Call* call);

  const int index_;
  SenderContext& context_;
  const bool open_loop_;
  grpc::CompletionQueue queue_;
  std::vector<grpc::GenericStub> stubs_;  // one for each channel, the spare channels last
  RequestPicker picker_;
  Pacer pacer_;             // for an open loop
  int64_t sequence_ = 0;    // the sending thread alone uses it
  v1::Receipt receipt_;     // the receiving thread alone uses it
  bool cancelled_ = false;  // the receiving thread alone uses it

  std::vector<std::unique_ptr<Call>> calls_ ABSL_GUARDED_BY(mutex_);
  std::vector<Call*> free_ ABSL_GUARDED_BY(mutex_);
  Mutex mutex_;
  CondVar room_;
  std::atomic<int64_t> in_flight_{0};
  std::atomic<bool> all_sent_{false};

  std::thread receive_thread_;
  std::thread send_thread_;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_SENDER_H_
