#ifndef QKSERVE_BENCH_ANSWER_H_
#define QKSERVE_BENCH_ANSWER_H_

#include <string>

#include "absl/status/status.h"
#include "bench/contender.h"
#include "qkserve/v1/scoring.pb.h"

namespace qkserve::bench {

// Sends the request to the contender. If the contender computes, compares up to 64 rows of its
// reply with float64 results (see CheckAnswerRow). Queries are float32 of rank 2. `values` may be
// null. If the contender is qkserve, `*kernel` becomes the kernel in its receipt. INTERNAL: the
// type, the shape or a value is wrong, as in "contender stock: row 3, key 12: got 1.5, ...".
absl::Status CheckAnswer(const Contender& contender, const v1::ScoreRequest& request,
                         const v1::Tensor& keys, const v1::Tensor* values, std::string* kernel);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_ANSWER_H_
