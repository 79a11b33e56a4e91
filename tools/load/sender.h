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

// State that the senders of a load share. Thread-safe but for `begin`.
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

  // Call it for each answer, also in the warm-up; `sequence` numbers the requests.
  void NoteAnswer(int64_t sequence, const absl::Status& status);

  // The first UNAVAILABLE if no request was answered otherwise; else OK.
  absl::Status NobodyThere() const;

  const LoadOptions& options;
  const LoadTarget& target;
  const Clock* const clock;
  LoadRecorder* const recorder;
  const int senders;
  Retries retries;
  // The end of sending.
  const absl::Duration end = options.warm_up + options.duration;
  // Requests with smaller numbers are the first requests: one for each caller, or some of an open
  // loop.
  const int64_t first_requests = options.concurrency > 0 ? options.concurrency : 10;
  absl::Time begin;  // set before the senders start

  std::atomic<bool> stop{false};    // true: send no more
  std::atomic<bool> cancel{false};  // true: wait no more
  // All of the first requests ended with UNAVAILABLE before any was answered otherwise: send no
  // more.
  std::atomic<bool> nobody_there{false};
  std::atomic<int> running{0};  // number of senders that run

 private:
  mutable Mutex mutex_;
  bool seen_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t refused_ ABSL_GUARDED_BY(mutex_) = 0;  // first requests that were refused
  absl::Status unavailable_ ABSL_GUARDED_BY(mutex_);
};

// Sends a share of a load's requests: a completion queue with some of the connections. One thread
// receives, and in a closed loop sends as well. In an open loop another thread sends and sleeps
// between requests: a completion queue wakes only by the millisecond.
class Sender {
 public:
  // Uses channels index, index + senders, index + 2·senders, ..., and any other for retries.
  // `context` must outlive it.
  Sender(int index, SenderContext* context);
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;
  ~Sender();  // call Join before

  void Start();
  // Blocks until every request is answered or, once context.cancel is set, cancelled.
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
  std::vector<grpc::GenericStub> stubs_;  // of all channels, the spare ones last
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
