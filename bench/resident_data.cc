#include "bench/resident_data.h"

#include <cmath>
#include <cstdlib>
#include <random>

#include "absl/strings/str_cat.h"
#include "bench/tensors.h"

namespace qkserve::bench {
namespace {

// The set that request i of `requests` goes to.
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

}  // namespace

ResidentData MakeResidentData(const BenchWorkload& workload, int requests, uint64_t seed) {
  std::mt19937_64 random(seed);
  ResidentData data;
  for (int i = 0; i < workload.key_sets; ++i) {
    ResidentKeySet key_set;
    key_set.name = absl::StrCat(workload.name, "-", i + 1);
    key_set.keys = RandomMatrix(workload.m, workload.d, random);
    if (workload.dv) key_set.values = RandomMatrix(workload.m, *workload.dv, random);
    data.key_sets.push_back(std::move(key_set));
  }
  for (int i = 0; i < requests; ++i) {
    v1::ScoreRequest request;
    if (workload.scale.has_value()) request.mutable_attention()->set_scale(*workload.scale);
    request.set_output(static_cast<v1::Output>(workload.output));
    request.set_top_k(workload.top_k);
    *request.mutable_queries() = RandomMatrix(workload.n, workload.d, random);
    request.mutable_key_set()->set_name(data.key_sets[SetOf(workload, i, requests)].name);
    data.requests.push_back(std::move(request));
  }
  return data;
}

const ResidentKeySet& KeySetOf(const ResidentData& data, const v1::ScoreRequest& request) {
  for (const ResidentKeySet& key_set : data.key_sets) {
    if (key_set.name == request.key_set().name()) return key_set;
  }
  std::abort();
}

}  // namespace qkserve::bench
