#include "server/rpc/codec.h"

#include <limits>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/key_sets/key_set_source.h"
#include "core/scoring/inline_keys.h"
#include "core/scoring/limits.h"
#include "core/scoring/row_reducer.h"
#include "core/scoring/score_cost.h"
#include "server/limits.h"
#include "server/rpc/attention_codec.h"
#include "server/rpc/tensor_codec.h"

namespace qkserve {
namespace {

// Bytes of a tensor of `shape`; nullopt where 64 bits do not suffice.
std::optional<int64_t> TensorBytes(const Shape& shape, int64_t element_bytes) {
  const std::optional<int64_t> elements = ElementCount(shape);
  int64_t bytes = 0;
  if (!elements.has_value() || __builtin_mul_overflow(*elements, element_bytes, &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

// Sets shapes and sizes of what is returned.
absl::Status SizeResults(bool log_sum_exp, int64_t message_bytes_max, DecodedScore& decoded) {
  const AttentionProblem& problem = decoded.problem;
  const ScoreShape& shape = decoded.shape;
  decoded.result_shape = shape.result;
  decoded.result_shape.back() =
      ReducerOf(problem.output).ResultColumns(problem, decoded.keys->sizes());
  const std::optional<int64_t> result =
      TensorBytes(decoded.result_shape, ElementBytes(problem.result_type));
  const std::optional<int64_t> indices =
      problem.output == Output::kTopK ? TensorBytes(decoded.result_shape, 4) : 0;
  const Shape rows(shape.result.begin(), shape.result.end() - 1);
  const std::optional<int64_t> lse = log_sum_exp ? TensorBytes(rows, 4) : 0;
  const int64_t bytes_max = message_bytes_max - kResponseOverheadBytesMax;
  const auto fits = [bytes_max](const std::optional<int64_t>& bytes) {
    return bytes.has_value() && *bytes <= bytes_max;
  };
  if (!fits(result) || !fits(indices) || !fits(lse) || *result + *indices + *lse > bytes_max) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the result would be ", DataTypeName(problem.result_type), " ",
                     ShapeString(decoded.result_shape), ", which with ", kResponseOverheadBytesMax,
                     " bytes of framing is larger than message_bytes_max = ", message_bytes_max));
  }
  decoded.result_bytes = *result;
  decoded.indices_bytes = *indices;
  decoded.log_sum_exp_bytes = *lse;
  decoded.has_log_sum_exp = log_sum_exp;
  return absl::OkStatus();
}

int64_t RequestBytes(const v1::ScoreRequest& request) {
  return static_cast<int64_t>(
      request.queries().data().size() + request.inline_().keys().data().size() +
      request.inline_().values().data().size() + request.attention().mask().data().size() +
      2 * sizeof(int64_t) * static_cast<size_t>(request.attention().key_lengths_size()));
}

absl::StatusOr<std::shared_ptr<const KeySet>> FindKeySet(const v1::KeySetReference& reference,
                                                         const KeySetStore& key_sets) {
  absl::StatusOr<std::shared_ptr<const KeySet>> key_set = key_sets.Find(reference.name());
  if (key_set.ok() && reference.has_version() && reference.version() != (*key_set)->version()) {
    return absl::FailedPreconditionError(absl::StrCat("key_set.version: got ", reference.version(),
                                                      ", key set ", reference.name(), " is at ",
                                                      (*key_set)->version()));
  }
  return key_set;
}

// Sets keys or key set, and the shape. Returns what errors call the keys.
absl::StatusOr<std::string> DecodeKeys(const v1::ScoreRequest& request, const KeySetStore& key_sets,
                                       DecodedScore& decoded) {
  std::string name = "inline.keys";
  Shape shape;
  if (request.has_key_set()) {
    absl::StatusOr<std::shared_ptr<const KeySet>> key_set = FindKeySet(request.key_set(), key_sets);
    if (!key_set.ok()) return key_set.status();
    decoded.key_set = *std::move(key_set);
    const KeySetLayout& layout = decoded.key_set->layout();
    if (decoded.problem.output == Output::kContext && !layout.dv.has_value()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "key_set: ", decoded.key_set->name(), " has no values, which the output CONTEXT needs"));
    }
    name = absl::StrCat("key set ", decoded.key_set->name());
    shape = layout.KeyShape(decoded.key_set->m());
  } else {
    if (!request.has_inline_() || !request.inline_().has_keys()) {
      return absl::InvalidArgumentError(
          "inline.keys: got none, expected a tensor, or a key_set in its place");
    }
    absl::StatusOr<TensorView> keys = DecodeTensor(request.inline_().keys(), "inline.keys");
    if (!keys.ok()) return keys.status();
    decoded.problem.keys = *std::move(keys);
    shape = decoded.problem.keys.shape;
  }
  absl::StatusOr<ScoreShape> score_shape =
      MakeScoreShape("queries", decoded.problem.queries.shape, name, shape);
  if (!score_shape.ok()) return score_shape.status();
  decoded.shape = *std::move(score_shape);
  return name;
}

absl::Status CheckCounts(const DecodedScore& decoded, const std::string& keys_name) {
  const ScoreShape& shape = decoded.shape;
  // Where d or m is 0 there may be any number of queries in no bytes.
  if (shape.Rows() > kScoresMax) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the request has ", shape.Rows(), " queries, more than the limit of ", kScoresMax));
  }
  // MakeScoreShape has counted them.
  if (*ElementCount(shape.result) > kScoresMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the request has ", *ElementCount(shape.result), " scores ",
                     ShapeString(shape.result), ", more than the limit of ", kScoresMax));
  }
  constexpr int64_t kIndexMax = std::numeric_limits<int32_t>::max();
  if (decoded.problem.output == Output::kTopK && shape.m > kIndexMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat(keys_name, ".shape: got m = ", shape.m,
                     ", more keys than the int32 indices of TOP_K can name"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DecodedScore> DecodeScoreRequest(const v1::ScoreRequest& request,
                                                int64_t message_bytes_max,
                                                const KeySetStore& key_sets) {
  absl::StatusOr<AttentionProblem> problem = DecodeOptions(request);
  if (!problem.ok()) return problem.status();
  if (!request.has_queries()) {
    return absl::InvalidArgumentError("queries: got none, expected a tensor");
  }
  absl::StatusOr<TensorView> queries = DecodeTensor(request.queries(), "queries");
  if (!queries.ok()) return queries.status();
  DecodedScore decoded;
  decoded.problem = *std::move(problem);
  decoded.problem.queries = *std::move(queries);
  const absl::StatusOr<std::string> keys_name = DecodeKeys(request, key_sets, decoded);
  if (!keys_name.ok()) return keys_name.status();

  absl::Status status = CheckCounts(decoded, *keys_name);
  if (status.ok()) status = DecodeShapedOptions(request, decoded.shape, decoded.problem);
  if (!status.ok()) return status;
  if (decoded.key_set != nullptr) {
    decoded.keys = MakeKeySource(decoded.key_set);
  } else {
    decoded.keys = std::make_shared<InlineKeys>(decoded.problem, decoded.shape);
  }
  status = SizeResults(request.log_sum_exp(), message_bytes_max, decoded);
  if (!status.ok()) return status;
  decoded.in_flight_bytes =
      RequestBytes(request) + StateBytes(*decoded.keys, decoded.problem, decoded.shape) +
      3 * (decoded.result_bytes + decoded.indices_bytes + decoded.log_sum_exp_bytes);
  return decoded;
}

absl::StatusOr<ScoreMemory> ScoreMemory::Allocate(const DecodedScore& decoded) {
  ScoreMemory memory;
  for (const auto& [buffer, bytes] : {std::pair(&memory.result, decoded.result_bytes),
                                      std::pair(&memory.indices, decoded.indices_bytes),
                                      std::pair(&memory.log_sum_exp, decoded.log_sum_exp_bytes)}) {
    absl::StatusOr<Buffer> allocated = Buffer::Allocate(static_cast<size_t>(bytes));
    if (!allocated.ok()) return allocated.status();
    *buffer = *std::move(allocated);
  }
  return memory;
}

AttentionResults ScoreMemory::Results() {
  return {.result = result.data(),
          .indices = reinterpret_cast<int32_t*>(indices.data()),
          .log_sum_exp = reinterpret_cast<float*>(log_sum_exp.data())};
}

void EncodeScoreResponse(const DecodedScore& decoded, const ScoreMemory& memory,
                         const JobReceipt& receipt, const std::string& kernel,
                         v1::ScoreResponse& response) {
  v1::Receipt& out = *response.mutable_receipt();
  out.set_queued_ns(absl::ToInt64Nanoseconds(receipt.queued));
  out.set_computed_ns(absl::ToInt64Nanoseconds(receipt.computed));
  out.set_batch_requests(receipt.batch_requests);
  out.set_batch_rows(receipt.batch_rows);
  out.set_kernel(kernel);
  if (decoded.key_set != nullptr) out.set_key_set_version(decoded.key_set->version());
  EncodeTensor(decoded.problem.result_type, decoded.result_shape, memory.result.data(),
               decoded.result_bytes, *response.mutable_result());
  if (decoded.problem.output == Output::kTopK) {
    EncodeTensor(DataType::kInt32, decoded.result_shape, memory.indices.data(),
                 decoded.indices_bytes, *response.mutable_indices());
  }
  if (decoded.has_log_sum_exp) {
    const Shape rows(decoded.result_shape.begin(), decoded.result_shape.end() - 1);
    EncodeTensor(DataType::kFloat32, rows, memory.log_sum_exp.data(), decoded.log_sum_exp_bytes,
                 *response.mutable_log_sum_exp());
  }
}

}  // namespace qkserve
