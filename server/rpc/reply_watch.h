#ifndef QKSERVE_SERVER_RPC_REPLY_WATCH_H_
#define QKSERVE_SERVER_RPC_REPLY_WATCH_H_

#include <map>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/background_thread.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "grpc/grpc.h"

namespace qkserve {

// Cancels calls whose callers do not take their replies. Until a reply is taken, the server holds
// the reply's memory and counts the call in flight.
//
// A thread looks for such calls once a second, or four times in the timeout if that is more often.
// Thread-safe. Every call must be disarmed before this is destroyed.
class ReplyWatch {
 public:
  // A reply must be taken within `timeout`; infinite: there is no limit. The clock must outlive
  // this object.
  ReplyWatch(const Clock* clock, absl::Duration timeout);

  // Records that the reply of `call` is about to be sent. `deadline` is the call's deadline on the
  // clock. Does nothing if the deadline comes before the timeout. Does not block.
  void Arm(grpc_call* call, absl::Time deadline);

  // Records that `call` has ended. The call need not be armed. Does not block.
  void Disarm(grpc_call* call);

  // Cancels the calls that are overdue. The watching thread calls this.
  void CancelOverdue();

 private:
  // A reference keeps a call alive until the call is cancelled. The mutex is not held during a
  // cancellation, because gRPC may end the call, and call Disarm, before grpc_call_cancel returns.
  struct Unref {
    void operator()(grpc_call* call) const { grpc_call_unref(call); }
  };
  using Reference = std::unique_ptr<grpc_call, Unref>;
  struct Waiting {
    absl::Time overdue;
    Reference call;
  };

  const Clock& clock_;
  const absl::Duration timeout_;
  Mutex mutex_;
  std::map<grpc_call*, Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  BackgroundThread thread_;  // last, because it uses the members above
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_REPLY_WATCH_H_
