#include "bench/inline_comparison.h"

#include <random>

#include "absl/strings/str_cat.h"
#include "base/host.h"
#include "base/status_macros.h"
#include "bench/answer.h"
#include "bench/openblas.h"
#include "bench/tensors.h"

namespace qkserve::bench {
namespace {

constexpr uint64_t kDataSeed = 42;

v1::ScoreRequest MakeRequest(const BenchWorkload& workload) {
  std::mt19937_64 random(kDataSeed);
  v1::ScoreRequest request;
  *request.mutable_queries() = RandomMatrix(workload.n, workload.d, random);
  *request.mutable_inline_()->mutable_keys() = RandomMatrix(workload.m, workload.d, random);
  return request;
}

absl::StatusOr<std::vector<LatencySamples>> CompareOneCaller(absl::Span<const Contender> contenders,
                                                             const v1::ScoreRequest& request,
                                                             const RoundOptions& options) {
  v1::ScoreResponse response;
  std::vector<Ask> asks;
  for (const Contender& contender : contenders) {
    asks.push_back({contender.name, [&](v1::Receipt* receipt) {
                      absl::Status status = contender.remote->Score(request, &response);
                      *receipt = response.receipt();
                      return status;
                    }});
  }
  // The last contender computes the same scores without a service: in one call on all CPUs, into
  // memory that was touched before.
  const v1::Tensor& queries = request.queries();
  const v1::Tensor& keys = request.inline_().keys();
  const Sizes sizes = {.n = queries.shape(0), .m = keys.shape(0), .d = keys.shape(1)};
  std::vector<float> scores(sizes.n * sizes.m);
  asks.push_back({std::string(kInProcessName), [&](v1::Receipt*) {
                    ComputeScoresInOneCall(Floats(queries).data(), Floats(keys).data(),
                                           scores.data(), sizes);
                    return absl::OkStatus();
                  }});
  SetBlasThreads(static_cast<int>(UsableCpus()));
  return MeasureLatency(asks, options);
}

}  // namespace

std::vector<ContenderCommand> InlineContenders(const ProgramPaths& paths) {
  std::vector<ContenderCommand> contenders = {
      {.name = std::string(kEchoName), .command = {paths.bench, "--role=echo"}, .computes = false},
      {.name = std::string(kQkserveName), .command = QkserveCommand(paths.qkserve)},
      {.name = std::string(kStockName),
       .command = {paths.bench, "--role=stock", "--blas_threads=1"}},
  };
  const int cpus = static_cast<int>(UsableCpus());
  if (cpus > 1) {
    contenders.push_back(
        {.name = absl::StrCat("stock, ", cpus, " threads"),
         .command = {paths.bench, "--role=stock", absl::StrCat("--blas_threads=", cpus)},
         .serves_many = false});
  }
  return contenders;
}

absl::StatusOr<InlineResult> CompareInline(const BenchWorkload& workload,
                                           absl::Span<const Contender> contenders,
                                           const RoundOptions& options) {
  const v1::ScoreRequest request = MakeRequest(workload);
  InlineResult result;
  result.workload = workload;
  for (const Contender& contender : contenders) {
    RETURN_IF_ERROR(
        CheckAnswer(contender, request, request.inline_().keys(), nullptr, &result.kernel));
  }
  ASSIGN_OR_RETURN(result.one_caller, CompareOneCaller(contenders, request, options));
  ASSIGN_OR_RETURN(result.many_callers,
                   MeasureThroughput(contenders, {&request, 1}, workload.callers, options));
  return result;
}

}  // namespace qkserve::bench
