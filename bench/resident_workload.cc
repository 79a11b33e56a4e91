#include "bench/resident_workload.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/tensors.h"

namespace qkserve::bench {
namespace {

constexpr float kContextScale = 0.08838834764831845F;  // 1/sqrt(128)

std::vector<ExactScore> ExactRow(absl::Span<const float> query, absl::Span<const float> keys,
                                 double scale) {
  std::vector<ExactScore> row;
  for (size_t at = 0; at < keys.size(); at += query.size()) {
    row.push_back(ComputeExactScore(query, keys.subspan(at, query.size()), scale));
  }
  return row;
}

absl::Status CheckScoreRow(absl::Span<const float> scores, absl::Span<const ExactScore> exact) {
  for (size_t key = 0; key < scores.size(); ++key) {
    const absl::Status status = CheckScore(scores[key], exact[key]);
    if (!status.ok()) {
      return absl::InternalError(absl::StrFormat("the score of key %d %s", key, status.message()));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTopRow(absl::Span<const float> scores, absl::Span<const int32_t> keys,
                         absl::Span<const ExactScore> exact) {
  std::vector<bool> chosen(exact.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto key = static_cast<size_t>(keys[i]);
    if (key >= exact.size() || chosen[key]) {
      return absl::InternalError(absl::StrFormat("key %d is none or there twice", keys[i]));
    }
    if (i > 0 && scores[i] > scores[i - 1]) return absl::InternalError("scores are not in order");
    chosen[key] = true;
    const absl::Status status = CheckScore(scores[i], exact[key]);
    if (!status.ok()) {
      return absl::InternalError(absl::StrFormat("the score of key %d %s", key, status.message()));
    }
  }
  for (size_t key = 0; key < exact.size(); ++key) {
    if (!chosen[key] && exact[key].score - exact[key].bound > scores.back()) {
      return absl::InternalError(absl::StrFormat("key %d, with %g, is missing above %g", key,
                                                 exact[key].score, scores.back()));
    }
  }
  return absl::OkStatus();
}

// How far a float32 sum of `terms` products is from exact, beside the sum of their magnitudes, when
// rounding errors are independent (Higham and Mary, A New Approach to Probabilistic Rounding Error
// Analysis). The certain bound, proportional to `terms`, is as large as contexts are: softmax over
// thousands of keys averages values to almost nothing.
double ProbableError(double terms) { return 6 * std::sqrt(terms) * std::ldexp(1.0, -24); }

// Softmax and its product with the values, with the errors of scores carried through: a score that
// is off by e changes its weight, and the sum of all, by a factor exp(e) at most.
absl::Status CheckContextRow(absl::Span<const float> context, absl::Span<const ExactScore> exact,
                             int64_t d, absl::Span<const float> values) {
  double max = exact[0].score;
  double score_bound = 0;
  for (const ExactScore& key : exact) {
    max = std::max(max, key.score);
    score_bound = std::max(score_bound, key.bound);
  }
  double sum = 0;
  for (const ExactScore& key : exact) sum += std::exp(key.score - max);
  const double score_error = score_bound * ProbableError(d) / ScoreErrorBound(d);
  const double relative = 2 * std::expm1(score_error) + 2 * ProbableError(exact.size());
  const size_t dv = context.size();
  for (size_t column = 0; column < dv; ++column) {
    ExactScore element;
    double magnitude = 0;
    for (size_t key = 0; key < exact.size(); ++key) {
      const double product =
          std::exp(exact[key].score - max) / sum * static_cast<double>(values[key * dv + column]);
      element.score += product;
      magnitude += std::abs(product);
    }
    element.bound = relative * magnitude;
    const absl::Status status = CheckScore(context[column], element);
    if (!status.ok()) {
      return absl::InternalError(absl::StrFormat("context [%d] %s", column, status.message()));
    }
  }
  return absl::OkStatus();
}

int64_t ResultColumns(const ResidentKeySet& key_set, const v1::ScoreRequest& request) {
  switch (request.output()) {
    case v1::TOP_K:
      return request.top_k();
    case v1::CONTEXT:
      return key_set.values->shape(1);
    default:
      return key_set.keys.shape(0);
  }
}

// The set that request i of `requests` goes to, so that each has its share of them as nearly as
// whole requests allow.
size_t ZipfSet(int i, int requests, int key_sets) {
  double sum = 0;
  for (int set = 1; set <= key_sets; ++set) sum += 1.0 / set;
  const double at = (i + 0.5) / requests * sum;
  double covered = 0;
  for (int set = 1; set < key_sets; ++set) {
    covered += 1.0 / set;
    if (at < covered) return static_cast<size_t>(set - 1);
  }
  return static_cast<size_t>(key_sets - 1);
}

}  // namespace

absl::Span<const ResidentWorkload> ResidentWorkloads() {
  static const auto* workloads = new std::vector<ResidentWorkload>{
      {.name = "resident-top", .m = 10000, .d = 768, .output = v1::TOP_K, .top_k = 10},
      {.name = "resident-row", .m = 10000, .d = 768},
      {.name = "resident-context",
       .m = 10000,
       .d = 128,
       .dv = 128,
       .output = v1::CONTEXT,
       .scale = kContextScale},
      {.name = "resident-mixed",
       .m = 10000,
       .d = 768,
       .output = v1::TOP_K,
       .top_k = 10,
       .key_sets = 8},
      {.name = "resident-heavy",
       .n = 64,
       .m = 20000,
       .d = 768,
       .output = v1::TOP_K,
       .top_k = 10,
       .callers = 8},
  };
  return *workloads;
}

const ResidentWorkload& ResidentWorkloadCalled(absl::string_view name) {
  for (const ResidentWorkload& workload : ResidentWorkloads()) {
    if (workload.name == name) return workload;
  }
  std::abort();
}

ResidentData MakeResidentData(const ResidentWorkload& workload, int requests, uint64_t seed) {
  std::mt19937_64 random(seed);
  ResidentData data;
  for (int i = 0; i < workload.key_sets; ++i) {
    ResidentKeySet key_set;
    key_set.name = absl::StrCat(workload.name, "-", i + 1);
    key_set.keys = RandomMatrix(workload.m, workload.d, random);
    if (workload.dv > 0) key_set.values = RandomMatrix(workload.m, workload.dv, random);
    data.key_sets.push_back(std::move(key_set));
  }
  for (int i = 0; i < requests; ++i) {
    v1::ScoreRequest request;
    if (workload.scale.has_value()) request.mutable_attention()->set_scale(*workload.scale);
    request.set_output(workload.output);
    request.set_top_k(workload.top_k);
    *request.mutable_queries() = RandomMatrix(workload.n, workload.d, random);
    request.mutable_key_set()->set_name(
        data.key_sets[ZipfSet(i, requests, workload.key_sets)].name);
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

absl::Status CheckResidentAnswer(const ResidentKeySet& key_set, const v1::ScoreRequest& request,
                                 const v1::ScoreResponse& response) {
  const int64_t n = request.queries().shape(0);
  const int64_t d = request.queries().shape(1);
  const int64_t columns = ResultColumns(key_set, request);
  const bool is_top = request.output() == v1::TOP_K;
  absl::Status status = CheckMatrix(response.result(), v1::FLOAT32, n, columns);
  if (is_top) status.Update(CheckMatrix(response.indices(), v1::INT32, n, columns));
  const double scale = request.attention().has_scale() ? request.attention().scale() : 1;
  for (int64_t i = 0; i < n && status.ok(); ++i) {
    const std::vector<ExactScore> exact =
        ExactRow(Floats(request.queries()).subspan(i * d, d), Floats(key_set.keys), scale);
    const absl::Span<const float> row = Floats(response.result()).subspan(i * columns, columns);
    if (is_top) {
      status = CheckTopRow(row, Ints(response.indices()).subspan(i * columns, columns), exact);
    } else if (request.output() == v1::CONTEXT) {
      status = CheckContextRow(row, exact, d, Floats(*key_set.values));
    } else {
      status = CheckScoreRow(row, exact);
    }
  }
  return status;
}

}  // namespace qkserve::bench
