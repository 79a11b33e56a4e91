#ifndef QKSERVE_BENCH_ANSWER_H_
#define QKSERVE_BENCH_ANSWER_H_

#include <string>

#include "absl/status/status.h"
#include "bench/contender.h"
#include "qkserve/v1/scoring.pb.h"

namespace qkserve::bench {

// Asks the contender and, if it computes, compares its reply with float64. Queries are float32 of
// rank 2. All rows are compared, or 64 of them if there are more; see CheckAnswerRow. `values` may
// be null. `*kernel` becomes the kernel of qkserve's receipt. INTERNAL: "contender stock: row 3,
// key 12: got 1.5, ...", or type or shape are wrong.
absl::Status CheckAnswer(const Contender& contender, const v1::ScoreRequest& request,
                         const v1::Tensor& keys, const v1::Tensor* values, std::string* kernel);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_ANSWER_H_
