#include "server/rpc/v1_score.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "qkserve/output.h"
#include "server/admission/field_error.h"

namespace qkserve {
namespace {

static_assert(static_cast<int>(DataType::kFloat32) == v1::FLOAT32);
static_assert(static_cast<int>(DataType::kFloat16) == v1::FLOAT16);
static_assert(static_cast<int>(DataType::kBfloat16) == v1::BFLOAT16);
static_assert(static_cast<int>(DataType::kBool) == v1::BOOL);
static_assert(static_cast<int>(DataType::kInt32) == v1::INT32);
static_assert(v1::DataType_MAX == v1::INT32);

static_assert(kOutputNames.size() == v1::Output_MAX);

constexpr ScoreFieldNames kNames = {.queries = "queries",
                                    .keys = "inline.keys",
                                    .values = "inline.values",
                                    .key_set = "key_set",
                                    .key_set_version = "key_set.version",
                                    .scale = "attention.scale",
                                    .softcap = "attention.softcap",
                                    .window_left = "attention.window_left",
                                    .window_right = "attention.window_right",
                                    .offset = "attention.offset",
                                    .key_lengths = "attention.key_lengths",
                                    .mask = "attention.mask",
                                    .top_k = "top_k",
                                    .log_sum_exp = "log_sum_exp"};

// The tensors that a field takes. They have a float type or, if `bool_too`, the type BOOL. Their
// rank is from rank_min to 4.
struct TensorRule {
  int rank_min = 2;
  bool bool_too = false;
};

absl::Status DecodeShape(const v1::Tensor& tensor, absl::string_view name, int rank_min,
                         Shape& shape) {
  constexpr int kRankMax = 4;
  // The rank is checked first, because a shape from outside may have any length.
  if (tensor.shape_size() < rank_min || tensor.shape_size() > kRankMax) {
    return FieldError(absl::StrCat(name, ".shape"), absl::StrCat("rank ", tensor.shape_size()),
                      rank_min == 2 ? "rank 2, 3 or 4" : "rank 1 to 4");
  }
  shape.assign(tensor.shape().begin(), tensor.shape().end());
  if (std::all_of(shape.begin(), shape.end(), [](int64_t size) { return size >= 0; })) {
    return absl::OkStatus();
  }
  return FieldError(absl::StrCat(name, ".shape"), ShapeString(shape), "sizes of 0 or more");
}

// Makes `view` point to the tensor. The sizes must be 0 or more, and the data must be exactly as
// long as the sizes say.
absl::Status DecodeTensor(const v1::Tensor& tensor, absl::string_view name, const TensorRule& rule,
                          TensorView& view) {
  const int type = tensor.data_type();
  if (!IsFloatType(type) && !(rule.bool_too && type == v1::BOOL)) {
    return DecodeFloatType(type, absl::StrCat(name, ".data_type"), view.data_type,
                           rule.bool_too ? "BOOL, " : "");
  }
  view.data_type = static_cast<DataType>(type);
  RETURN_IF_ERROR(DecodeShape(tensor, name, rule.rank_min, view.shape));
  const std::optional<int64_t> bytes = ByteCount(view.shape, ElementBytes(view.data_type));
  if (!bytes.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ".shape: got ", ShapeString(view.shape),
                                                   ", more elements than 64 bits can count"));
  }
  if (static_cast<uint64_t>(*bytes) != tensor.data().size()) {
    return FieldError(
        absl::StrCat(name, ".data"), absl::StrCat(tensor.data().size(), " bytes"),
        absl::StrCat(*bytes, " for ", DataTypeName(view.data_type), " ", ShapeString(view.shape)));
  }
  view.data = reinterpret_cast<const std::byte*>(tensor.data().data());
  return absl::OkStatus();
}

absl::Status DecodeEnums(const v1::ScoreRequest& request, AttentionProblem& problem) {
  if (!v1::Output_IsValid(request.output())) {
    constexpr auto kLast = kOutputNames.end() - 1;
    const std::string others = absl::StrJoin(kOutputNames.begin(), kLast, ", ");
    return FieldError(
        "output", static_cast<int>(request.output()),
        absl::StrCat(absl::AsciiStrToUpper(others), " or ", absl::AsciiStrToUpper(*kLast)));
  }
  if (request.output() != v1::OUTPUT_UNSPECIFIED) {
    problem.output = static_cast<Output>(request.output());
  }
  if (request.result_type() == v1::DATA_TYPE_UNSPECIFIED) return absl::OkStatus();
  return DecodeFloatType(request.result_type(), "result_type", problem.result_type);
}

void DecodeAttention(const v1::Attention& attention, ScoreCall& call) {
  AttentionProblem& problem = call.problem;
  if (attention.has_scale()) problem.scale = attention.scale();
  problem.softcap = attention.softcap();
  problem.is_causal = attention.is_causal();
  if (attention.has_window_left()) problem.window_left = attention.window_left();
  if (attention.has_window_right()) problem.window_right = attention.window_right();
  problem.offset = attention.offset();
  call.has_offset = attention.has_offset();
  problem.key_lengths = attention.key_lengths();
}

void DecodeTensors(const v1::ScoreRequest& request, ScoreCall& call) {
  AttentionProblem& problem = call.problem;
  const v1::InlineKeys& keys = request.inline_();
  const v1::Attention& attention = request.attention();
  call.errors.queries = request.has_queries()
                            ? DecodeTensor(request.queries(), kNames.queries, {}, problem.queries)
                            : FieldError(kNames.queries, "none", "a tensor");
  if (keys.has_keys()) {
    call.errors.keys = DecodeTensor(keys.keys(), kNames.keys, {}, problem.keys);
  }
  if (keys.has_values()) {
    call.errors.values = DecodeTensor(keys.values(), kNames.values, {}, problem.values.emplace());
  }
  if (attention.has_mask()) {
    call.errors.mask = DecodeTensor(attention.mask(), kNames.mask,
                                    {.rank_min = 1, .bool_too = true}, problem.mask.emplace());
  }
}

// Copies the tensor into a message.
void EncodeTensor(const Tensor& tensor, v1::Tensor& out) {
  out.set_data_type(static_cast<v1::DataType>(tensor.data_type));
  out.mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
  if (tensor.data.size_bytes() > 0) {
    out.set_data(reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size_bytes());
  }
}

}  // namespace

absl::StatusOr<ScoreCall> DecodeScoreCall(const v1::ScoreRequest& request) {
  absl::StatusOr<ScoreCall> decoded = ScoreCall();
  ScoreCall& call = *decoded;
  call.names = &kNames;
  RETURN_IF_ERROR(DecodeEnums(request, call.problem));
  DecodeTensors(request, call);
  if (request.has_key_set()) {
    call.key_set = request.key_set().name();
    if (request.key_set().has_version()) call.key_set_version = request.key_set().version();
  }
  DecodeAttention(request.attention(), call);
  call.problem.top_k = request.top_k();
  call.log_sum_exp = request.log_sum_exp();
  return decoded;
}

void EncodeScoreResponse(const ComputedScore& result, const ScoreReceipt& receipt,
                         v1::ScoreResponse& response) {
  v1::Receipt& out = *response.mutable_receipt();
  out.set_queued_ns(absl::ToInt64Nanoseconds(receipt.job.queued));
  out.set_computed_ns(absl::ToInt64Nanoseconds(receipt.job.computed));
  out.set_batch_requests(receipt.job.batch_requests);
  out.set_batch_rows(receipt.job.batch_rows);
  out.set_kernel(result.kernel.data(), result.kernel.size());
  if (receipt.key_set != nullptr) out.set_key_set_version(receipt.key_set->version());
  EncodeTensor(result.result, *response.mutable_result());
  if (!result.indices.shape.empty()) EncodeTensor(result.indices, *response.mutable_indices());
  if (!result.log_sum_exp.shape.empty()) {
    EncodeTensor(result.log_sum_exp, *response.mutable_log_sum_exp());
  }
}

}  // namespace qkserve
