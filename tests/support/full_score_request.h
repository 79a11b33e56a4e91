#ifndef QKSERVE_TESTS_SUPPORT_FULL_SCORE_REQUEST_H_
#define QKSERVE_TESTS_SUPPORT_FULL_SCORE_REQUEST_H_

#include "qkserve/client.h"
#include "qkserve/v1/scoring.pb.h"
#include "tests/support/random_tensor.h"

namespace qkserve {

// A request with every kind of field, for tests of code that reads messages. No server would accept
// it.
inline v1::ScoreRequest FullScoreRequest() {
  const Tensor q = RandomTensor(DataType::kFloat32, {2, 1, 3}, 1);
  const Tensor k = RandomTensor(DataType::kFloat16, {2, 4, 3}, 2);
  ScoreOptions options;
  options.scale = 0.5F;
  options.softcap = 3.0F;
  options.is_causal = true;
  options.window_left = -1;
  options.key_lengths = {2, 300};
  options.mask = k.View();
  options.values = k.View();
  options.output = Output::kContext;
  options.log_sum_exp = true;
  options.top_k = 1;
  return MakeScoreRequest(q.View(), k.View(), options);
}

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_FULL_SCORE_REQUEST_H_
