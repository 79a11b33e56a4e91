#ifndef QKSERVE_SERVER_ADMISSION_ADMIT_SCORE_H_
#define QKSERVE_SERVER_ADMISSION_ADMIT_SCORE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/byte_budget.h"
#include "core/batching/job.h"
#include "core/key_sets/key_set_store.h"
#include "core/scoring/problem.h"
#include "qkserve/buffer.h"
#include "qkserve/tensor.h"
#include "server/admission/responder.h"
#include "server/admission/score_call.h"
#include "server/admission/score_task.h"

namespace qkserve {

// The limits and parts that admission decides by. Constant while the server runs; the pointers
// outlive all calls.
struct AdmissionOptions {
  int64_t message_bytes_max = 0;  // of the response
  double gflops_per_worker = 1.0;
  std::string kernel = {};  // of inline keys
  std::string key_set_kernel = {};
  const KeySetStore* key_sets = nullptr;
  ByteBudget* budget = nullptr;
};

// Shape and sizes of what a call returns.
struct ResultLayout {
  Shape shape;
  int64_t result_bytes = 0;
  int64_t indices_bytes = 0;
  int64_t log_sum_exp_bytes = 0;
  bool has_log_sum_exp = false;

  // The shape without its last dimension.
  absl::Span<const int64_t> Rows() const { return absl::MakeSpan(shape).first(shape.size() - 1); }
  int64_t Bytes() const { return result_bytes + indices_bytes + log_sum_exp_bytes; }
};

// The memory of a call's results.
struct ScoreBuffers {
  Buffer result, indices, log_sum_exp;

  // RESOURCE_EXHAUSTED: there is no memory.
  static absl::StatusOr<ScoreBuffers> Allocate(const ResultLayout& layout);
  AttentionResults Results();
};

// A call that was checked, planned and charged: nothing of it can be refused any more for what the
// caller sent.
struct AdmittedScore {
  ScoreTask task;
  ResultLayout layout;
  ScoreBuffers buffers;
  ByteBudget::Charge charge;  // for request, results and state
  JobSpec spec;
  absl::string_view kernel;  // that computes it

  // The computed tensors. Valid as long as this.
  ComputedScore Result() const;
};

// Every check of what a caller sent beside its syntax, in time that does not depend on the tensors'
// sizes, and all of them before anything large is allocated. The first error is reported, in this
// order: options, queries, key set or keys, their fit, key lengths, mask, values, size of the
// result, memory.
//
// Errors: INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION, DATA_LOSS and RESOURCE_EXHAUSTED, as
// scoring.proto says. They name fields as the call does. Thread-safe.
absl::StatusOr<AdmittedScore> AdmitScore(ScoreCall call, const AdmissionOptions& options);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ADMISSION_ADMIT_SCORE_H_
