#include "bench/resident_comparison.h"

#include <cmath>
#include <memory>
#include <optional>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "bench/answer.h"
#include "bench/tensors.h"
#include "qkserve/client.h"

namespace qkserve::bench {
namespace {

constexpr uint64_t kDataSeed = 42;
constexpr int kCheckedRequests = 8;

struct ResidentKeySet {
  std::string name;
  v1::Tensor keys;
  std::optional<v1::Tensor> values;

  const v1::Tensor* Values() const { return values ? &*values : nullptr; }
};

// The data of a workload.
struct ResidentData {
  std::vector<ResidentKeySet> key_sets;
  std::vector<v1::ScoreRequest> requests;  // each has other queries
  std::vector<size_t> sets;                // indices of the sets that the requests name
};

// Returns the index of the set that request i of `requests` names.
size_t SetOf(const BenchWorkload& workload, int i, int requests) {
  const auto weight = [&](int set) { return std::pow(set + 1, -workload.zipf); };
  double sum = 0;
  for (int set = 0; set < workload.key_sets; ++set) sum += weight(set);
  const double at = (i + 0.5) / requests * sum;
  double covered = 0;
  for (int set = 0; set + 1 < workload.key_sets; ++set) {
    covered += weight(set);
    if (at < covered) return static_cast<size_t>(set);
  }
  return static_cast<size_t>(workload.key_sets - 1);
}

// Makes the same data each time. Each key set gets its share of the requests (the workload's
// `zipf`), rounded to whole requests.
ResidentData MakeData(const BenchWorkload& workload) {
  std::mt19937_64 random(kDataSeed);
  ResidentData data;
  for (int i = 0; i < workload.key_sets; ++i) {
    ResidentKeySet& key_set = data.key_sets.emplace_back();
    key_set.name = absl::StrCat(workload.name, "-", i + 1);
    key_set.keys = RandomMatrix(workload.m, workload.d, random);
    if (workload.dv) key_set.values = RandomMatrix(workload.m, *workload.dv, random);
  }
  for (int i = 0; i < workload.callers; ++i) {
    data.sets.push_back(SetOf(workload, i, workload.callers));
    v1::ScoreRequest& request = data.requests.emplace_back();
    if (workload.scale.has_value()) request.mutable_attention()->set_scale(*workload.scale);
    request.set_output(static_cast<v1::Output>(workload.output));
    request.set_top_k(workload.top_k);
    *request.mutable_queries() = RandomMatrix(workload.n, workload.d, random);
    request.mutable_key_set()->set_name(data.key_sets[data.sets.back()].name);
  }
  return data;
}

TensorView View(const v1::Tensor& matrix) {
  return {DataType::kFloat32,
          {matrix.shape(0), matrix.shape(1)},
          reinterpret_cast<const std::byte*>(matrix.data().data())};
}

absl::Status PutAndCheck(const Contender& contender, const ResidentData& data,
                         std::string* kernel) {
  const absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Create({.address = contender.server->address()});
  absl::Status status = client.status();
  for (const ResidentKeySet& key_set : data.key_sets) {
    if (!status.ok()) break;
    PutKeySetOptions options;
    if (key_set.values) options.values = View(*key_set.values);
    status = (*client)->PutKeySet(key_set.name, View(key_set.keys), options).status();
  }
  status = About(contender, status);
  for (int i = 0; i < kCheckedRequests && status.ok(); ++i) {
    const size_t request = i * data.requests.size() / kCheckedRequests;  // spread over the sets
    const ResidentKeySet& key_set = data.key_sets[data.sets[request]];
    status = CheckAnswer(contender, data.requests[request], key_set.keys, key_set.Values(), kernel);
  }
  return status;
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
  const ResidentData data = MakeData(workload);
  ResidentResult result;
  result.workload = workload;
  for (const Contender& contender : contenders) {
    RETURN_IF_ERROR(PutAndCheck(contender, data, &result.kernel));
  }
  for (const int callers : {1, workload.callers}) {
    ASSIGN_OR_RETURN(std::vector<ThroughputSamples> rows,
                     MeasureThroughput(contenders, data.requests, callers, options));
    result.comparisons.push_back({callers, std::move(rows)});
  }
  return result;
}

}  // namespace qkserve::bench
