#ifndef QKSERVE_BENCH_ANSWER_H_
#define QKSERVE_BENCH_ANSWER_H_

#include "absl/status/status.h"
#include "qkserve/v1/scoring.pb.h"
#include "tools/load/verifier.h"

namespace qkserve::bench {

// The elements of a FLOAT32 tensor of rank 2.
FloatMatrix ToMatrix(const v1::Tensor& tensor);

// Compares a reply to float32 queries of rank 2 with float64: all rows, or 64 of them where there
// are more; see CheckAnswerRow.
// INTERNAL: "row 3, key 12: got 1.5, ...", or type or shape are wrong.
absl::Status CheckAnswer(const v1::ScoreRequest& request, const KnownKeySet& known,
                         const v1::ScoreResponse& response);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_ANSWER_H_
