#include "bench/inline_workload.h"

#include <cstdlib>
#include <random>

#include "absl/strings/str_format.h"
#include "bench/tensors.h"

namespace qkserve::bench {
namespace {

constexpr int kSampledScores = 1000;

}  // namespace

absl::Span<const InlineWorkload> InlineWorkloads() {
  static const auto* workloads = new std::vector<InlineWorkload>{
      {"tiny", 1, 16, 64, 64},
      {"inline-small", 16, 128, 64, 64},
      {"inline-large", 128, 4096, 256, 8},
      {"inline-square", 1024, 1024, 1024, 8},
  };
  return *workloads;
}

const InlineWorkload& InlineWorkloadCalled(absl::string_view name) {
  for (const InlineWorkload& workload : InlineWorkloads()) {
    if (workload.name == name) return workload;
  }
  std::abort();
}

v1::ScoreRequest MakeInlineRequest(const InlineWorkload& workload, uint64_t seed) {
  std::mt19937_64 random(seed);
  v1::ScoreRequest request;
  *request.mutable_queries() = RandomMatrix(workload.n, workload.d, random);
  *request.mutable_inline_()->mutable_keys() = RandomMatrix(workload.m, workload.d, random);
  return request;
}

absl::Status CheckInlineScores(const v1::ScoreRequest& request, const v1::ScoreResponse& response) {
  const int64_t n = request.queries().shape(0);
  const int64_t d = request.queries().shape(1);
  const int64_t m = request.inline_().keys().shape(0);
  absl::Status status = CheckMatrix(response.result(), v1::FLOAT32, n, m);
  if (!status.ok()) return status;
  const absl::Span<const float> scores = Floats(response.result());
  const absl::Span<const float> queries = Floats(request.queries());
  const absl::Span<const float> keys = Floats(request.inline_().keys());
  std::mt19937_64 random(1);
  for (int sample = 0; sample < kSampledScores; ++sample) {
    const int64_t row = std::uniform_int_distribution<int64_t>(0, n - 1)(random);
    const int64_t column = std::uniform_int_distribution<int64_t>(0, m - 1)(random);
    const ExactScore exact =
        ComputeExactScore(queries.subspan(row * d, d), keys.subspan(column * d, d));
    status = CheckScore(scores[row * m + column], exact);
    if (!status.ok()) {
      return absl::Status(status.code(),
                          absl::StrFormat("score [%d, %d] %s", row, column, status.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace qkserve::bench
