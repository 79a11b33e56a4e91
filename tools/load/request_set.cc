#include "tools/load/request_set.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/types/span.h"
#include "base/status_macros.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "qkserve/client.h"
#include "qkserve/limits.h"
#include "tools/load/random_source.h"

namespace qkserve {
namespace {

constexpr int64_t kRequestsBytesMax = 512 * kMiB;

// Seeds of the random tensors. They differ from each other and from the seeds of key sets.
constexpr uint64_t kQueriesSeed = 1'000'000;
constexpr uint64_t kKeysSeed = 2'000'000;
constexpr uint64_t kValuesSeed = 3'000'000;

absl::StatusOr<Tensor> RandomTensor(Shape shape, uint64_t seed) {
  const int64_t count = ElementCount(shape).value();
  ASSIGN_OR_RETURN(Buffer data, Buffer::Allocate(count * static_cast<int64_t>(sizeof(float))));
  FillRandom(seed, 0,
             absl::MakeSpan(reinterpret_cast<float*>(data.data()), static_cast<size_t>(count)));
  return Tensor{DataType::kFloat32, std::move(shape), std::move(data)};
}

// Returns `n` rows of a file from row `first` on. After the last row of the file, row 0 follows.
absl::StatusOr<Tensor> TakeRows(const TensorView& from, int64_t first, int64_t n) {
  const int64_t rows = from.shape[0];
  const int64_t row_bytes = from.shape[1] * ElementBytes(from.data_type);
  ASSIGN_OR_RETURN(Buffer data, Buffer::Allocate(n * row_bytes));
  for (int64_t i = 0; i < n && row_bytes > 0; ++i) {
    std::memcpy(data.data() + i * row_bytes, from.data + (first + i) % rows * row_bytes,
                static_cast<size_t>(row_bytes));
  }
  return Tensor{from.data_type, {n, from.shape[1]}, std::move(data)};
}

absl::StatusOr<Tensor> QueriesOf(const RequestSetOptions& options, int payload) {
  const LoadWorkload& workload = options.workload;
  if (options.queries.has_value() && options.queries->shape[0] > 0) {
    return TakeRows(*options.queries, payload * workload.n, workload.n);
  }
  Shape shape = workload.leading;
  shape.insert(shape.end(), {workload.n, workload.d});
  return RandomTensor(std::move(shape), options.seed + kQueriesSeed + payload);
}

absl::StatusOr<grpc::ByteBuffer> Serialized(const v1::ScoreRequest& request) {
  grpc::ByteBuffer bytes;
  bool owns = false;
  const grpc::Status status =
      grpc::SerializationTraits<v1::ScoreRequest>::Serialize(request, &bytes, &owns);
  if (!status.ok()) return FromGrpcStatus(status);
  return bytes;
}

absl::StatusOr<v1::ScoreRequest> InlineRequest(const RequestSetOptions& options,
                                               const Tensor& queries, ScoreOptions score_options,
                                               int payload) {
  const LoadWorkload& workload = options.workload;
  Tensor keys, values;
  if (!options.keys.has_value()) {
    ASSIGN_OR_RETURN(keys,
                     RandomTensor({workload.m, workload.d}, options.seed + kKeysSeed + payload));
  }
  score_options.values = options.values;
  if (!options.values.has_value() && workload.dv.has_value()) {
    ASSIGN_OR_RETURN(
        values, RandomTensor({workload.m, *workload.dv}, options.seed + kValuesSeed + payload));
    score_options.values = values.View();
  }
  return MakeScoreRequest(queries.View(), options.keys.has_value() ? *options.keys : keys.View(),
                          score_options);
}

}  // namespace

absl::StatusOr<RequestSet> BuildRequestSet(const RequestSetOptions& options) {
  const LoadWorkload& workload = options.workload;
  const auto sets = static_cast<int64_t>(std::max<size_t>(1, options.key_sets.size()));
  const int64_t request_bytes = std::max<int64_t>(1, RequestBytes(workload));
  const int64_t affordable = kRequestsBytesMax / request_bytes / sets;
  RequestSet set;
  set.payloads = static_cast<int>(std::clamp<int64_t>(affordable, 1, options.payloads_max));
  set.zipf = workload.zipf;
  ScoreOptions score_options;
  score_options.output = workload.output;
  score_options.top_k = workload.top_k;

  for (const KeySetReference& key_set : options.key_sets) set.key_sets.push_back(key_set.name);
  for (int key_set = 0; key_set < sets; ++key_set) {
    for (int payload = 0; payload < set.payloads; ++payload) {
      ASSIGN_OR_RETURN(const Tensor queries, QueriesOf(options, payload));
      v1::ScoreRequest request;
      if (options.key_sets.empty()) {
        ASSIGN_OR_RETURN(request, InlineRequest(options, queries, score_options, payload));
      } else {
        request = MakeScoreRequest(queries.View(), options.key_sets[key_set], score_options);
      }
      ASSIGN_OR_RETURN(const grpc::ByteBuffer bytes, Serialized(request));
      set.requests.push_back({bytes, key_set, payload});
    }
  }
  return set;
}

RequestPicker::RequestPicker(const RequestSet* set, int sender, int senders, uint64_t seed)
    : set_(set), step_(senders), payload_(sender) {
  // The picker has its own stream. With the schedule's stream, the choice of the key set would
  // depend on the gap before the request.
  constexpr uint64_t kPickerStream = 0x7069636b6572;
  std::seed_seq stream{seed, static_cast<uint64_t>(sender), kPickerStream};
  random_.seed(stream);
  std::vector<double> weights(std::max<size_t>(set->key_sets.size(), 1));
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i] = 1 / std::pow(static_cast<double>(i + 1), set->zipf);
  }
  key_set_ = std::discrete_distribution<size_t>(weights.begin(), weights.end());
}

size_t RequestPicker::Next() {
  const size_t payload = payload_ % static_cast<size_t>(set_->payloads);
  payload_ += step_;
  const size_t key_set = set_->key_sets.size() > 1 ? key_set_(random_) : 0;
  return key_set * static_cast<size_t>(set_->payloads) + payload;
}

}  // namespace qkserve
