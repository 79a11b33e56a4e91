#include "server/rpc/v1_score.h"

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/admission/field_error.h"
#include "server/rpc/tensor_codec.h"

namespace qkserve {
namespace {

static_assert(static_cast<int>(Output::kScores) == v1::SCORES);
static_assert(static_cast<int>(Output::kCapped) == v1::CAPPED);
static_assert(static_cast<int>(Output::kMasked) == v1::MASKED);
static_assert(static_cast<int>(Output::kWeights) == v1::WEIGHTS);
static_assert(static_cast<int>(Output::kContext) == v1::CONTEXT);
static_assert(static_cast<int>(Output::kTopK) == v1::TOP_K);

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

int64_t RequestBytes(const v1::ScoreRequest& request) {
  return static_cast<int64_t>(
      request.queries().data().size() + request.inline_().keys().data().size() +
      request.inline_().values().data().size() + request.attention().mask().data().size() +
      // Parsed, and copied into the problem.
      2 * sizeof(int64_t) * static_cast<size_t>(request.attention().key_lengths_size()));
}

absl::Status DecodeEnums(const v1::ScoreRequest& request, ScoreCall& call) {
  if (request.output() < v1::OUTPUT_UNSPECIFIED || request.output() > v1::TOP_K) {
    return FieldError("output", absl::StrCat(static_cast<int>(request.output())),
                      "SCORES, CAPPED, MASKED, WEIGHTS, CONTEXT or TOP_K");
  }
  if (request.output() != v1::OUTPUT_UNSPECIFIED) {
    call.output = static_cast<Output>(request.output());
  }
  if (request.result_type() == v1::DATA_TYPE_UNSPECIFIED) return absl::OkStatus();
  const absl::StatusOr<DataType> type = DecodeFloatType(request.result_type(), "result_type");
  if (type.ok()) call.result_type = *type;
  return type.status();
}

void DecodeAttention(const v1::Attention& attention, ScoreCall& call) {
  if (attention.has_scale()) call.scale = attention.scale();
  call.softcap = attention.softcap();
  call.is_causal = attention.is_causal();
  if (attention.has_window_left()) call.window_left = attention.window_left();
  if (attention.has_window_right()) call.window_right = attention.window_right();
  if (attention.has_offset()) call.offset = attention.offset();
  call.key_lengths = attention.key_lengths();
}

void DecodeTensors(const v1::ScoreRequest& request, ScoreCall& call) {
  call.queries = request.has_queries() ? DecodeTensor(request.queries(), kNames.queries)
                                       : FieldError(kNames.queries, "none", "a tensor");
  const v1::InlineKeys& keys = request.inline_();
  if (keys.has_keys()) call.keys = DecodeTensor(keys.keys(), kNames.keys);
  if (keys.has_values()) call.values = DecodeTensor(keys.values(), kNames.values);
  const v1::Attention& attention = request.attention();
  if (attention.has_mask()) {
    call.mask = DecodeTensor(attention.mask(), kNames.mask, {.rank_min = 1, .bool_too = true});
  }
}

void EncodeResult(const ResultTensor& tensor, v1::Tensor& out) {
  EncodeTensor(tensor.data_type, tensor.shape, tensor.data, tensor.bytes, out);
}

}  // namespace

absl::StatusOr<ScoreCall> DecodeScoreCall(const v1::ScoreRequest& request) {
  ScoreCall call;
  call.names = &kNames;
  absl::Status status = DecodeEnums(request, call);
  if (!status.ok()) return status;
  DecodeTensors(request, call);
  if (request.has_key_set()) {
    KeySetQuery& query = call.key_set.emplace();
    query.name = request.key_set().name();
    if (request.key_set().has_version()) query.version = request.key_set().version();
  }
  DecodeAttention(request.attention(), call);
  call.top_k = request.top_k();
  call.log_sum_exp = request.log_sum_exp();
  call.request_bytes = RequestBytes(request);
  return call;
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
  EncodeResult(result.result, *response.mutable_result());
  if (result.indices.has_value()) EncodeResult(*result.indices, *response.mutable_indices());
  if (result.log_sum_exp.has_value()) {
    EncodeResult(*result.log_sum_exp, *response.mutable_log_sum_exp());
  }
}

}  // namespace qkserve
