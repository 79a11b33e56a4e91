#include "bench/inline_comparison.h"

#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/host.h"
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

absl::Status CheckContender(const Contender& contender, const v1::ScoreRequest& request,
                            std::string* kernel) {
  v1::ScoreResponse response;
  absl::Status status = contender.remote->Score(request, &response);
  if (status.ok() && contender.computes) {
    status = CheckAnswer(request, {ToMatrix(request.inline_().keys()), {}}, response);
  }
  if (!status.ok()) return About(contender, status);
  if (contender.name == kQkserveName) *kernel = response.receipt().kernel();
  return absl::OkStatus();
}

// The same scores without a service: one call on all CPUs, into memory that is there already.
Ask InProcess(const v1::ScoreRequest& request, std::vector<float>& scores) {
  return [&request, &scores](v1::Receipt*) {
    const v1::Tensor& keys = request.inline_().keys();
    ComputeScoresInOneCall(
        Floats(request.queries()).data(), Floats(keys).data(), scores.data(),
        {.n = request.queries().shape(0), .m = keys.shape(0), .d = keys.shape(1)});
    return absl::OkStatus();
  };
}

Ask OverTheWire(const Remote& remote, const v1::ScoreRequest& request,
                v1::ScoreResponse& response) {
  return [&remote, &request, &response](v1::Receipt* receipt) {
    absl::Status status = remote.Score(request, &response);
    *receipt = response.receipt();
    return status;
  };
}

absl::StatusOr<std::vector<LatencyResult>> CompareOneCaller(absl::Span<const Contender> contenders,
                                                            const v1::ScoreRequest& request,
                                                            const RoundOptions& options) {
  v1::ScoreResponse response;
  std::vector<float> scores(request.queries().shape(0) * request.inline_().keys().shape(0));
  std::vector<std::string> names;
  std::vector<Ask> asks;
  for (const Contender& contender : contenders) {
    names.push_back(contender.name);
    asks.push_back(OverTheWire(*contender.remote, request, response));
  }
  names.emplace_back(kInProcessName);
  asks.push_back(InProcess(request, scores));
  SetBlasThreads(static_cast<int>(UsableCpus()));

  absl::StatusOr<std::vector<LatencySamples>> samples = MeasureLatency(asks, options);
  if (!samples.ok()) return samples.status();
  std::vector<LatencyResult> results;
  for (size_t i = 0; i < names.size(); ++i) {
    results.push_back({names[i], std::move((*samples)[i])});
  }
  return results;
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
    const absl::Status status = CheckContender(contender, request, &result.kernel);
    if (!status.ok()) return status;
  }
  absl::StatusOr<std::vector<LatencyResult>> one_caller =
      CompareOneCaller(contenders, request, options);
  if (!one_caller.ok()) return one_caller.status();
  result.one_caller = *std::move(one_caller);

  absl::StatusOr<std::vector<ThroughputResult>> many_callers =
      CompareThroughput(contenders, {&request, 1}, workload.callers, options);
  if (!many_callers.ok()) return many_callers.status();
  result.many_callers = *std::move(many_callers);
  return result;
}

}  // namespace qkserve::bench
