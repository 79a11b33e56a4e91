#include "bench/resident_comparison.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/answer.h"
#include "bench/resident_data.h"

namespace qkserve::bench {
namespace {

constexpr uint64_t kDataSeed = 42;
constexpr int kCheckedRequests = 8;

absl::Status PutAndCheck(const Contender& contender, const ResidentData& data,
                         std::string* kernel) {
  absl::Status status;
  for (const ResidentKeySet& key_set : data.key_sets) {
    status.Update(contender.remote->PutKeySet(
        {key_set.name, key_set.keys, key_set.values ? &*key_set.values : nullptr}));
  }
  for (int i = 0; i < kCheckedRequests && status.ok(); ++i) {
    // Spread over the sets.
    const auto& request = data.requests[i * data.requests.size() / kCheckedRequests];
    v1::ScoreResponse response;
    status = contender.remote->Score(request, &response);
    if (status.ok() && contender.computes) {
      const ResidentKeySet& key_set = KeySetOf(data, request);
      KnownKeySet known = {ToMatrix(key_set.keys), std::nullopt};
      if (key_set.values) known.values = ToMatrix(*key_set.values);
      status = CheckAnswer(request, known, response);
    }
    if (contender.name == kQkserveName) *kernel = response.receipt().kernel();
  }
  return About(contender, status);
}

}  // namespace

std::vector<ContenderCommand> ResidentContenders(const ProgramPaths& paths) {
  return {
      {.name = std::string(kEchoName), .command = {paths.bench, "--role=echo"}, .computes = false},
      {.name = std::string(kQkserveName), .command = QkserveCommand(paths.qkserve)},
      {.name = std::string(kBaselineName), .command = {paths.bench, "--role=stock"}},
  };
}

absl::StatusOr<ResidentResult> CompareResident(const BenchWorkload& workload,
                                               absl::Span<const Contender> contenders,
                                               const RoundOptions& options) {
  const ResidentData data = MakeResidentData(workload, workload.callers, kDataSeed);
  ResidentResult result;
  result.workload = workload;
  for (const Contender& contender : contenders) {
    const absl::Status status = PutAndCheck(contender, data, &result.kernel);
    if (!status.ok()) return status;
  }
  for (const int callers : {1, workload.callers}) {
    absl::StatusOr<std::vector<ThroughputResult>> rows =
        CompareThroughput(contenders, data.requests, callers, options);
    if (!rows.ok()) return rows.status();
    result.comparisons.push_back({callers, *std::move(rows)});
  }
  return result;
}

}  // namespace qkserve::bench
