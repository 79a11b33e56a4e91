#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <vector>

#include "bench/baseline.h"
#include "bench/openblas.h"
#include "bench/resident_key_sets.h"
#include "bench/serve.h"
#include "bench/tensors.h"

namespace qkserve::bench {
namespace {

// Returns the number of columns of the result, or 0 if the request does not fit the key set.
int64_t ResultColumns(const v1::ScoreRequest& request, const RowMajorKeySet& key_set) {
  const v1::Tensor& queries = request.queries();
  const int64_t n = queries.shape_size() == 2 ? queries.shape(0) : 0;
  if (n <= 0 || !CheckMatrix(queries, v1::FLOAT32, n, key_set.d).ok()) return 0;
  if (request.output() == v1::SCORES) return key_set.m;
  if (request.output() == v1::CONTEXT) return key_set.dv;
  return request.output() == v1::TOP_K && request.top_k() <= key_set.m ? request.top_k() : 0;
}

void SelectTopK(const float* scores, int64_t m, int64_t k, float* best, int32_t* keys) {
  thread_local std::vector<int32_t> order;
  order.resize(static_cast<size_t>(m));
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int32_t a, int32_t b) {
    return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
  });
  for (int64_t i = 0; i < k; ++i) {
    keys[i] = order[i];
    best[i] = scores[order[i]];
  }
}

void Softmax(float* row, int64_t m) {
  const float max = *std::max_element(row, row + m);
  float sum = 0;
  for (int64_t j = 0; j < m; ++j) {
    row[j] = std::exp(row[j] - max);
    sum += row[j];
  }
  for (int64_t j = 0; j < m; ++j) row[j] /= sum;
}

void Compute(const v1::ScoreRequest& request, const RowMajorKeySet& key_set,
             v1::ScoreResponse* response) {
  const int64_t n = request.queries().shape(0);
  const int64_t m = key_set.m;
  const float scale = request.attention().has_scale() ? request.attention().scale() : 1;
  const auto score = [&](float* scores) {
    ComputeScoresInOneCall(Floats(request.queries()).data(), key_set.keys.data(), scores,
                           {.n = n, .m = m, .d = key_set.d}, scale);
  };
  if (request.output() == v1::SCORES) {
    return score(StartMatrix(v1::FLOAT32, n, m, response->mutable_result()));
  }
  thread_local std::vector<float> scores;
  scores.resize(static_cast<size_t>(n * m));
  score(scores.data());
  if (request.output() == v1::TOP_K) {
    const int64_t k = request.top_k();
    float* best = StartMatrix(v1::FLOAT32, n, k, response->mutable_result());
    auto* keys =
        reinterpret_cast<int32_t*>(StartMatrix(v1::INT32, n, k, response->mutable_indices()));
    for (int64_t i = 0; i < n; ++i) {
      SelectTopK(scores.data() + i * m, m, k, best + i * k, keys + i * k);
    }
  } else {
    for (int64_t i = 0; i < n; ++i) Softmax(scores.data() + i * m, m);
    WeighValuesInOneCall(scores.data(), key_set.values.data(),
                         StartMatrix(v1::FLOAT32, n, key_set.dv, response->mutable_result()),
                         {.n = n, .m = m, .d = key_set.dv});
  }
}

}  // namespace

absl::Status ServeResidentBaseline(Baseline baseline, const std::string& port_file) {
  RowMajorKeySets key_sets;
  const auto answer = [&](const v1::ScoreRequest& request, v1::ScoreResponse* response) {
    const std::shared_ptr<const RowMajorKeySet> key_set = key_sets.Find(request.key_set().name());
    if (key_set == nullptr) return grpc::Status(grpc::StatusCode::NOT_FOUND, "no such key set");
    const int64_t columns = ResultColumns(request, *key_set);
    if (columns <= 0) {
      return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                          "the request does not fit its key set");
    }
    if (baseline == Baseline::kEcho) {
      // Echo answers with as many bytes as a real answer has.
      const int64_t n = request.queries().shape(0);
      if (request.output() == v1::TOP_K) {
        StartMatrix(v1::INT32, n, columns, response->mutable_indices());
      }
      StartMatrix(v1::FLOAT32, n, columns, response->mutable_result());
    } else {
      Compute(request, *key_set, response);
    }
    return grpc::Status::OK;
  };
  return ServeUntilTerminated({.answer = answer, .key_sets = &key_sets}, port_file);
}

}  // namespace qkserve::bench
