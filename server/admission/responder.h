#ifndef QKSERVE_SERVER_ADMISSION_RESPONDER_H_
#define QKSERVE_SERVER_ADMISSION_RESPONDER_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/byte_budget.h"
#include "core/batching/job.h"
#include "core/key_sets/key_set.h"
#include "qkserve/tensor.h"

namespace qkserve {

// The tensors of a call's answer. A tensor that was not asked for has no shape.
struct ComputedScore {
  Tensor result;             // of the output's shape
  Tensor indices;            // [.., n, top_k], for the output TOP_K
  Tensor log_sum_exp;        // [.., n]
  absl::string_view kernel;  // the code path that computes it
};

// How a call was run, for receipts, metrics and logs. All members are zero or null if the call was
// refused before it came to the batcher.
struct ScoreReceipt {
  JobReceipt job = {};
  int64_t rows = 0;                 // the call's own query rows
  const KeySet* key_set = nullptr;  // null: inline keys. Valid while Respond or Fail runs
};

// Takes the answer to one score call. A protocol implements it, for a unary reply, a message of a
// stream or anything else. The responder keeps the memory that ScoreCall points into.
//
// Exactly one of Respond and Fail is called, once, from any thread. Neither may block. The
// responder and this memory must live until that call. They may be gone when the call returns.
class Responder {
 public:
  // `result` is valid during the call.
  virtual void Respond(const ComputedScore& result, const ScoreReceipt& receipt) = 0;

  // `status` is not OK.
  virtual void Fail(const absl::Status& status, const ScoreReceipt& receipt) = 0;

  // Keeps the charge for the call's memory until that memory is free, which is after Respond or
  // Fail. Called at most once, before them.
  virtual void Hold(ByteBudget::Charge charge) = 0;

  // True if nobody waits for the answer. Called from any thread before Respond or Fail, sometimes
  // with the batcher's lock held. Must not block.
  virtual bool IsCancelled() const = 0;

 protected:
  ~Responder() = default;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ADMISSION_RESPONDER_H_
