#include "bench/contenders.h"

#include <sched.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/openblas.h"

namespace qkserve::bench {
namespace {

// One connection is worth about one core.
constexpr int kChannels = 4;
constexpr absl::Duration kStartTimeout = absl::Seconds(20);
constexpr uint64_t kDataSeed = 42;

absl::StatusOr<Contender> StartContender(absl::string_view name, std::vector<std::string> command) {
  absl::StatusOr<std::unique_ptr<ChildServer>> server =
      ChildServer::Start(std::move(command), kStartTimeout);
  if (!server.ok()) {
    return absl::Status(server.status().code(),
                        absl::StrCat("contender ", name, ": ", server.status().message()));
  }
  Contender contender;
  contender.name = std::string(name);
  contender.server = *std::move(server);
  return contender;
}

absl::Status CheckContender(const Contender& contender, const v1::ScoreRequest& request,
                            std::string* kernel) {
  v1::ScoreResponse response;
  absl::Status status = contender.remote->Score(request, 0, &response);
  if (status.ok() && contender.computes) status = CheckScores(request, response);
  if (!status.ok()) {
    return absl::Status(status.code(),
                        absl::StrCat("contender ", contender.name, ": ", status.message()));
  }
  if (contender.name == kQkserveName) *kernel = response.receipt().kernel();
  return absl::OkStatus();
}

// The same scores without a service: one call on all CPUs, into memory that is there already.
Ask InProcess(const v1::ScoreRequest& request, std::vector<float>& scores) {
  return [&request, &scores](v1::Receipt*) {
    const v1::Tensor& keys = request.inline_().keys();
    ComputeScoresInOneCall(Floats(request.queries()).data(), Floats(keys).data(), scores.data(),
                           request.queries().shape(0), keys.shape(0), keys.shape(1));
    return absl::OkStatus();
  };
}

Ask OverTheWire(const Remote& remote, const v1::ScoreRequest& request,
                v1::ScoreResponse& response) {
  return [&remote, &request, &response](v1::Receipt* receipt) {
    absl::Status status = remote.Score(request, 0, &response);
    *receipt = response.receipt();
    return status;
  };
}

absl::StatusOr<std::vector<LatencyResult>> CompareOneCaller(
    const std::vector<Contender>& contenders, const v1::ScoreRequest& request,
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
  SetBlasThreads(UsableCpus());

  absl::StatusOr<std::vector<LatencySamples>> samples = MeasureLatency(asks, options);
  if (!samples.ok()) return samples.status();
  std::vector<LatencyResult> results;
  for (size_t i = 0; i < names.size(); ++i) {
    results.push_back({names[i], std::move((*samples)[i])});
  }
  return results;
}

absl::StatusOr<std::vector<ThroughputResult>> CompareManyCallers(
    const std::vector<Contender>& contenders, const v1::ScoreRequest& request, int concurrency,
    const RoundOptions& options) {
  std::vector<std::string> names;
  std::vector<const Remote*> remotes;
  for (const Contender& contender : contenders) {
    if (!contender.serves_many) continue;
    names.push_back(contender.name);
    remotes.push_back(contender.remote.get());
  }
  absl::StatusOr<std::vector<ThroughputSamples>> samples =
      MeasureThroughput(remotes, request, concurrency, options);
  if (!samples.ok()) return samples.status();
  std::vector<ThroughputResult> results;
  for (size_t i = 0; i < names.size(); ++i) {
    results.push_back({names[i], std::move((*samples)[i])});
  }
  return results;
}

}  // namespace

int UsableCpus() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

absl::StatusOr<std::vector<Contender>> StartContenders(const std::string& bench_path,
                                                       const std::string& qkserve_path) {
  const int cpus = UsableCpus();
  std::vector<absl::StatusOr<Contender>> started;
  started.push_back(StartContender(kEchoName, {bench_path, "--role=echo"}));
  started.push_back(StartContender(kQkserveName, {qkserve_path, "--listen_address=127.0.0.1:0"}));
  started.push_back(StartContender(kStockName, {bench_path, "--role=stock", "--blas_threads=1"}));
  if (cpus > 1) {
    started.push_back(
        StartContender(absl::StrCat("stock, ", cpus, " threads"),
                       {bench_path, "--role=stock", absl::StrCat("--blas_threads=", cpus)}));
    if (started.back().ok()) started.back()->serves_many = false;
  }
  std::vector<Contender> contenders;
  for (absl::StatusOr<Contender>& contender : started) {
    if (!contender.ok()) return contender.status();
    contenders.push_back(*std::move(contender));
  }
  contenders.front().computes = false;
  // Only now, because gRPC starts threads and forks must come before them.
  for (Contender& contender : contenders) {
    contender.remote = std::make_unique<Remote>(contender.server->address(), kChannels);
  }
  return contenders;
}

absl::Status StopContenders(std::vector<Contender>& contenders) {
  absl::Status status;
  for (Contender& contender : contenders) {
    contender.remote.reset();
    const absl::Status stopped = contender.server->Stop();
    if (!stopped.ok()) {
      status.Update(absl::Status(
          stopped.code(), absl::StrCat("contender ", contender.name, ": ", stopped.message())));
    }
  }
  return status;
}

absl::StatusOr<WorkloadResult> Compare(const Workload& workload,
                                       const std::vector<Contender>& contenders,
                                       const RoundOptions& options) {
  const v1::ScoreRequest request = MakeRequest(workload, kDataSeed);
  WorkloadResult result;
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
      CompareManyCallers(contenders, request, workload.concurrency, options);
  if (!many_callers.ok()) return many_callers.status();
  result.many_callers = *std::move(many_callers);
  return result;
}

}  // namespace qkserve::bench
