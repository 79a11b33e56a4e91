#ifndef QKSERVE_TESTS_SERVER_ADMISSION_CALL_FIXTURE_H_
#define QKSERVE_TESTS_SERVER_ADMISSION_CALL_FIXTURE_H_

#include <memory>
#include <utility>
#include <vector>

#include "base/byte_budget.h"
#include "core/key_sets/key_set_store.h"
#include "gtest/gtest.h"
#include "qkserve/limits.h"
#include "server/admission/admit_score.h"
#include "server/admission/score_call.h"
#include "tests/support/random_tensor.h"

namespace qkserve {

// Field names of a protocol that has other names than qkserve.v1.
inline constexpr ScoreFieldNames kTestNames = {.queries = "q",
                                               .keys = "k",
                                               .values = "v",
                                               .key_set = "set",
                                               .key_set_version = "set_version",
                                               .scale = "p.scale",
                                               .softcap = "p.softcap",
                                               .window_left = "p.left",
                                               .window_right = "p.right",
                                               .offset = "p.offset",
                                               .key_lengths = "p.lengths",
                                               .mask = "p.mask",
                                               .top_k = "p.top_k",
                                               .log_sum_exp = "p.lse"};

// Makes calls on random queries and keys, as any protocol might make them. Has a store of key sets
// in memory and a budget of 1 GiB, which admission needs.
class CallFixture : public testing::Test {
 protected:
  CallFixture() {
    options_.message_bytes_max = kMessageBytesMax;
    options_.compute = {.kernel = "inline kernel", .key_set_kernel = "key set kernel"};
    options_.key_sets = key_sets_.get();
    options_.budget = &budget_;
  }

  // Makes a call on tensors that live as long as the test. If `k` is empty, the call has no keys.
  ScoreCall Call(const Shape& q, const Shape& k) {
    ScoreCall call;
    call.names = &kTestNames;
    call.problem.queries = Keep(RandomTensor(DataType::kFloat32, q, 1));
    if (!k.empty()) call.problem.keys = Keep(RandomTensor(DataType::kFloat32, k, 2));
    return call;
  }
  TensorView Keep(Tensor tensor) {
    tensors_.push_back(std::make_unique<Tensor>(std::move(tensor)));
    return tensors_.back()->View();
  }

  ByteBudget budget_{"in_flight_bytes_max", kGiB};
  const std::unique_ptr<KeySetStore> key_sets_ =
      KeySetStore::Open({.memory_bytes_max = kMiB}, nullptr).value();
  AdmissionOptions options_;

 private:
  std::vector<std::unique_ptr<Tensor>> tensors_;
};

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SERVER_ADMISSION_CALL_FIXTURE_H_
