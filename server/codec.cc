#include "server/codec.h"

#include <cmath>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/limits.h"
#include "google/protobuf/message.h"
#include "google/protobuf/unknown_field_set.h"

namespace qkserve {
namespace {

static_assert(static_cast<int>(DataType::kFloat32) == v1::FLOAT32);
static_assert(static_cast<int>(DataType::kFloat16) == v1::FLOAT16);
static_assert(static_cast<int>(DataType::kBfloat16) == v1::BFLOAT16);

// An option that is ignored changes the answer silently; a newer client must hear of it.
absl::Status RefuseUnknownFields(const google::protobuf::Message& message, absl::string_view name) {
  const google::protobuf::UnknownFieldSet& unknown =
      message.GetReflection()->GetUnknownFields(message);
  if (unknown.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      name, ": got field number ", unknown.field(0).number(), ", which this server does not know"));
}

absl::StatusOr<DataType> DecodeDataType(int value, absl::string_view name) {
  if (IsDataType(value)) return static_cast<DataType>(value);
  return absl::InvalidArgumentError(absl::StrCat(name, ": got ",
                                                 value == 0 ? "none" : absl::StrCat(value),
                                                 ", expected FLOAT32, FLOAT16 or BFLOAT16"));
}

absl::StatusOr<TensorView> DecodeTensor(const v1::Tensor& tensor, absl::string_view name) {
  absl::Status status = RefuseUnknownFields(tensor, name);
  if (!status.ok()) return status;
  const absl::StatusOr<DataType> type =
      DecodeDataType(tensor.data_type(), absl::StrCat(name, ".data_type"));
  if (!type.ok()) return type.status();

  // The rank first: a shape from outside may be of any length.
  constexpr int kRankMin = 2;
  constexpr int kRankMax = 4;
  if (tensor.shape_size() < kRankMin || tensor.shape_size() > kRankMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ".shape: got rank ", tensor.shape_size(), ", expected rank 2, 3 or 4"));
  }
  TensorView view;
  view.data_type = *type;
  view.shape.assign(tensor.shape().begin(), tensor.shape().end());
  for (const int64_t size : view.shape) {
    if (size < 0) {
      return absl::InvalidArgumentError(absl::StrCat(name, ".shape: got ", ShapeString(view.shape),
                                                     ", expected sizes of 0 or more"));
    }
  }
  const std::optional<int64_t> elements = ElementCount(view.shape);
  int64_t bytes = 0;
  if (!elements.has_value() ||
      __builtin_mul_overflow(*elements, ElementBytes(view.data_type), &bytes)) {
    return absl::InvalidArgumentError(absl::StrCat(name, ".shape: got ", ShapeString(view.shape),
                                                   ", more elements than 64 bits can count"));
  }
  if (static_cast<uint64_t>(bytes) != tensor.data().size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ".data: got ", tensor.data().size(), " bytes, expected ", bytes, " for ",
                     DataTypeName(view.data_type), " ", ShapeString(view.shape)));
  }
  view.data = reinterpret_cast<const std::byte*>(tensor.data().data());
  return view;
}

// Options, without the tensors.
absl::StatusOr<ScoreProblem> DecodeOptions(const v1::ScoreRequest& request) {
  absl::Status status = RefuseUnknownFields(request, "request");
  status.Update(RefuseUnknownFields(request.attention(), "attention"));
  status.Update(RefuseUnknownFields(request.inline_(), "inline"));
  if (!status.ok()) return status;
  if (request.output() != v1::OUTPUT_UNSPECIFIED && request.output() != v1::SCORES) {
    return absl::InvalidArgumentError(
        absl::StrCat("output: got ", static_cast<int>(request.output()), ", expected SCORES"));
  }
  ScoreProblem problem;
  if (request.result_type() != v1::DATA_TYPE_UNSPECIFIED) {
    const absl::StatusOr<DataType> type = DecodeDataType(request.result_type(), "result_type");
    if (!type.ok()) return type.status();
    problem.result_type = *type;
  }
  if (request.attention().has_scale()) problem.scale = request.attention().scale();
  if (!std::isfinite(problem.scale)) {
    return absl::InvalidArgumentError(
        absl::StrCat("attention.scale: got ", problem.scale, ", expected a finite number"));
  }
  return problem;
}

}  // namespace

absl::StatusOr<DecodedScore> DecodeScoreRequest(const v1::ScoreRequest& request,
                                                int64_t message_bytes_max) {
  absl::StatusOr<ScoreProblem> problem = DecodeOptions(request);
  if (!problem.ok()) return problem.status();

  if (!request.has_queries()) {
    return absl::InvalidArgumentError("queries: got none, expected a tensor");
  }
  absl::StatusOr<TensorView> queries = DecodeTensor(request.queries(), "queries");
  if (!queries.ok()) return queries.status();
  if (!request.has_inline_() || !request.inline_().has_keys()) {
    return absl::InvalidArgumentError("inline.keys: got none, expected a tensor");
  }
  absl::StatusOr<TensorView> keys = DecodeTensor(request.inline_().keys(), "inline.keys");
  if (!keys.ok()) return keys.status();

  const absl::StatusOr<ScoreShape> shape =
      MakeScoreShape("queries", queries->shape, "inline.keys", keys->shape);
  if (!shape.ok()) return shape.status();

  // MakeScoreShape has counted the elements; their bytes may still not fit.
  int64_t result_bytes = 0;
  const bool overflows = __builtin_mul_overflow(*ElementCount(shape->result),
                                                ElementBytes(problem->result_type), &result_bytes);
  if (overflows || result_bytes > message_bytes_max - kResponseOverheadBytesMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the result would be ", DataTypeName(problem->result_type), " ",
                     ShapeString(shape->result), ", which with ", kResponseOverheadBytesMax,
                     " bytes of framing is larger than message_bytes_max = ", message_bytes_max));
  }
  const int64_t request_bytes = static_cast<int64_t>(request.queries().data().size() +
                                                     request.inline_().keys().data().size());
  problem->queries = *std::move(queries);
  problem->keys = *std::move(keys);
  return DecodedScore{.problem = *std::move(problem),
                      .plan = ScorePlan(*shape),
                      .result_bytes = result_bytes,
                      .in_flight_bytes = request_bytes + 3 * result_bytes};
}

void EncodeScoreResponse(const DecodedScore& decoded, const std::byte* result,
                         const JobReceipt& receipt, const std::string& kernel,
                         v1::ScoreResponse& response) {
  v1::Receipt& out = *response.mutable_receipt();
  out.set_queued_ns(absl::ToInt64Nanoseconds(receipt.queued));
  out.set_computed_ns(absl::ToInt64Nanoseconds(receipt.computed));
  out.set_batch_requests(receipt.batch_requests);
  out.set_batch_rows(receipt.batch_rows);
  out.set_kernel(kernel);

  v1::Tensor& tensor = *response.mutable_result();
  tensor.set_data_type(static_cast<v1::DataType>(decoded.problem.result_type));
  const Shape& shape = decoded.plan.shape().result;
  tensor.mutable_shape()->Assign(shape.begin(), shape.end());
  if (decoded.result_bytes > 0) {
    tensor.set_data(reinterpret_cast<const char*>(result),
                    static_cast<size_t>(decoded.result_bytes));
  }
}

}  // namespace qkserve
