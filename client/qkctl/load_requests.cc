#include "client/qkctl/load_requests.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/client.h"
#include "core/limits.h"

namespace qkserve {
namespace {

// Threads send requests of their own until these take so much memory; then they share.
constexpr int64_t kPayloadBytesMax = 512 * kMiB;

// Of float32; INT64_MAX where that does not fit.
int64_t MatrixBytes(const Shape& leading, int64_t rows, int64_t columns) {
  Shape shape = leading;
  shape.insert(shape.end(), {rows, columns});
  const std::optional<int64_t> count = ElementCount(shape);
  int64_t bytes = 0;
  if (!count.has_value() || __builtin_mul_overflow(*count, 4, &bytes)) return INT64_MAX;
  return bytes;
}

int64_t RequestBytes(const LoadWorkload& workload) {
  const int64_t queries = MatrixBytes(workload.leading, workload.n, workload.d);
  if (workload.key_set.has_value()) return queries;
  int64_t bytes = 0;
  if (__builtin_add_overflow(queries, MatrixBytes({}, workload.m, workload.d), &bytes)) {
    return INT64_MAX;
  }
  return bytes;
}

// 0 for context: dv is the server's to know.
int64_t ResultBytes(const LoadWorkload& workload) {
  if (workload.output == Output::kContext) return 0;
  const int64_t columns = workload.output == Output::kTopK ? workload.top_k : workload.m;
  return MatrixBytes(workload.leading, workload.n, columns);
}

absl::StatusOr<Tensor> RandomTensor(Shape shape, std::mt19937_64* random) {
  const int64_t count = ElementCount(shape).value();
  absl::StatusOr<Buffer> data = Buffer::Allocate(count * sizeof(float));
  if (!data.ok()) return data.status();
  std::uniform_real_distribution<float> uniform(-1, 1);
  float* const elements = reinterpret_cast<float*>(data->data());
  for (int64_t i = 0; i < count; ++i) elements[i] = uniform(*random);
  return Tensor{DataType::kFloat32, std::move(shape), *std::move(data)};
}

}  // namespace

LoadWorkload WithKeySet(LoadWorkload workload, const KeySetInfo& info) {
  const Shape& shape = info.keys.shape;
  // The server may be any: what has no matrix has no keys.
  const size_t rank = std::max<size_t>(shape.size(), 2);
  workload.m = shape.size() < 2 ? 0 : shape[rank - 2];
  workload.d = shape.size() < 2 ? 0 : shape[rank - 1];
  if (shape.size() > 2) workload.leading.assign(shape.begin(), shape.end() - 2);
  return workload;
}

absl::Status CheckSizes(const LoadWorkload& workload, int64_t message_bytes_max) {
  if (workload.n < 0 || workload.m < 0 || workload.d < 0) {
    return absl::InvalidArgumentError(absl::StrCat("--n, --m and --d must be 0 or more; were ",
                                                   workload.n, ", ", workload.m, " and ",
                                                   workload.d));
  }
  if (RequestBytes(workload) > message_bytes_max) {
    return absl::InvalidArgumentError(
        absl::StrCat("n=", workload.n, " m=", workload.m, " d=", workload.d,
                     " make a request larger than --message_bytes_max=", message_bytes_max));
  }
  if (ResultBytes(workload) > message_bytes_max) {
    return absl::InvalidArgumentError(
        absl::StrCat("n=", workload.n, " m=", workload.m,
                     " make a result larger than --message_bytes_max=", message_bytes_max));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::ScoreRequest>> BuildRequests(const LoadWorkload& workload,
                                                            uint64_t seed) {
  const int64_t affordable = kPayloadBytesMax / std::max<int64_t>(1, RequestBytes(workload));
  const int64_t count = std::clamp<int64_t>(affordable, 1, workload.concurrency);
  ScoreOptions options;
  options.output = workload.output;
  options.top_k = workload.top_k;
  Shape shape = workload.leading;
  shape.insert(shape.end(), {workload.n, workload.d});
  std::mt19937_64 random(seed);
  std::vector<v1::ScoreRequest> requests;
  for (int64_t i = 0; i < count; ++i) {
    absl::StatusOr<Tensor> queries = RandomTensor(shape, &random);
    if (!queries.ok()) return queries.status();
    if (workload.key_set.has_value()) {
      requests.push_back(MakeScoreRequest(queries->View(), *workload.key_set, options));
      continue;
    }
    absl::StatusOr<Tensor> keys = RandomTensor({workload.m, workload.d}, &random);
    if (!keys.ok()) return keys.status();
    requests.push_back(MakeScoreRequest(queries->View(), keys->View(), options));
  }
  return requests;
}

}  // namespace qkserve
