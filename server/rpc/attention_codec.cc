#include "server/rpc/attention_codec.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "server/rpc/tensor_codec.h"

namespace qkserve {
namespace {

static_assert(static_cast<int>(Output::kScores) == v1::SCORES);
static_assert(static_cast<int>(Output::kCapped) == v1::CAPPED);
static_assert(static_cast<int>(Output::kMasked) == v1::MASKED);
static_assert(static_cast<int>(Output::kWeights) == v1::WEIGHTS);
static_assert(static_cast<int>(Output::kContext) == v1::CONTEXT);
static_assert(static_cast<int>(Output::kTopK) == v1::TOP_K);

absl::StatusOr<int64_t> DecodeWindow(bool is_given, int64_t value, absl::string_view field) {
  if (!is_given) return -1;
  if (value < -1) return Invalid(field, absl::StrCat(value), "-1 (open) or more");
  return value;
}

absl::Status DecodeAttention(const v1::Attention& attention, AttentionProblem& problem) {
  if (attention.has_scale()) problem.scale = attention.scale();
  if (!std::isfinite(problem.scale)) {
    return Invalid("attention.scale", absl::StrCat(problem.scale), "a finite number");
  }
  problem.softcap = attention.softcap();
  if (!std::isfinite(problem.softcap) || problem.softcap < 0.0F) {
    return Invalid("attention.softcap", absl::StrCat(problem.softcap),
                   "a finite number of 0 or more");
  }
  problem.is_causal = attention.is_causal();
  absl::StatusOr<int64_t> window =
      DecodeWindow(attention.has_window_left(), attention.window_left(), "attention.window_left");
  if (!window.ok()) return window.status();
  problem.window_left = *window;
  window = DecodeWindow(attention.has_window_right(), attention.window_right(),
                        "attention.window_right");
  if (!window.ok()) return window.status();
  problem.window_right = *window;
  problem.offset = attention.offset();
  return absl::OkStatus();
}

absl::Status DecodeKeyLengths(const v1::Attention& attention, const ScoreShape& shape,
                              AttentionProblem& problem) {
  if (attention.key_lengths_size() == 0) return absl::OkStatus();
  if (attention.has_offset()) {
    return Invalid("attention.offset", absl::StrCat(attention.offset()),
                   "none beside key_lengths, which set it");
  }
  if (attention.key_lengths_size() != shape.batch) {
    return Invalid("attention.key_lengths", absl::StrCat(attention.key_lengths_size(), " lengths"),
                   absl::StrCat(shape.batch, ", one a batch"));
  }
  for (int b = 0; b < attention.key_lengths_size(); ++b) {
    const int64_t length = attention.key_lengths(b);
    if (length < 0 || length > shape.m) {
      return Invalid(absl::StrCat("attention.key_lengths[", b, "]"), absl::StrCat(length),
                     absl::StrCat("0 to m = ", shape.m));
    }
  }
  problem.key_lengths.assign(attention.key_lengths().begin(), attention.key_lengths().end());
  return absl::OkStatus();
}

absl::Status DecodeMask(const v1::Attention& attention, const ScoreShape& shape,
                        AttentionProblem& problem) {
  if (!attention.has_mask()) return absl::OkStatus();
  absl::StatusOr<TensorView> mask =
      DecodeTensor(attention.mask(), "attention.mask", {.rank_min = 1, .bool_too = true});
  if (!mask.ok()) return mask.status();
  const Shape& result = shape.result;
  bool fits = mask->shape.size() <= result.size() && mask->shape.back() <= shape.m;
  for (size_t from_right = 1; fits && from_right < mask->shape.size(); ++from_right) {
    const int64_t size = mask->shape[mask->shape.size() - 1 - from_right];
    fits = size == 1 || size == result[result.size() - 1 - from_right];
  }
  if (!fits) {
    return Invalid("attention.mask.shape", ShapeString(mask->shape),
                   absl::StrCat("a shape that broadcasts to ", ShapeString(result),
                                " (right-aligned; the last dimension at most m = ", shape.m, ")"));
  }
  problem.mask = *std::move(mask);
  return absl::OkStatus();
}

absl::Status DecodeValues(const v1::ScoreRequest& request, AttentionProblem& problem) {
  const bool has_values = request.inline_().has_values();
  if (problem.output != Output::kContext) {
    if (!has_values) return absl::OkStatus();
    return Invalid("inline.values", "a tensor", "none: only the output CONTEXT uses them");
  }
  if (!has_values) return Invalid("inline.values", "none", "a tensor, for the output CONTEXT");
  absl::StatusOr<TensorView> values = DecodeTensor(request.inline_().values(), "inline.values");
  if (!values.ok()) return values.status();
  const Shape& keys = problem.keys.shape;
  if (values->shape.size() != keys.size() ||
      !std::equal(keys.begin(), keys.end() - 1, values->shape.begin())) {
    return Invalid(
        "inline.values.shape", ShapeString(values->shape),
        absl::StrCat("all dimensions but the last as in inline.keys ", ShapeString(keys)));
  }
  problem.values = *std::move(values);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AttentionProblem> DecodeOptions(const v1::ScoreRequest& request) {
  AttentionProblem problem;
  if (request.output() < v1::OUTPUT_UNSPECIFIED || request.output() > v1::TOP_K) {
    return Invalid("output", absl::StrCat(static_cast<int>(request.output())),
                   "SCORES, CAPPED, MASKED, WEIGHTS, CONTEXT or TOP_K");
  }
  if (request.output() != v1::OUTPUT_UNSPECIFIED) {
    problem.output = static_cast<Output>(request.output());
  }
  if (request.result_type() != v1::DATA_TYPE_UNSPECIFIED) {
    const absl::StatusOr<DataType> type = DecodeFloatType(request.result_type(), "result_type");
    if (!type.ok()) return type.status();
    problem.result_type = *type;
  }
  const bool is_top_k = problem.output == Output::kTopK;
  if (is_top_k ? request.top_k() < 1 : request.top_k() != 0) {
    return Invalid("top_k", absl::StrCat(request.top_k()),
                   is_top_k ? "1 or more" : "none: only the output TOP_K uses it");
  }
  problem.top_k = request.top_k();
  const bool has_log_sum_exp =
      problem.output == Output::kWeights || problem.output == Output::kContext;
  if (request.log_sum_exp() && !has_log_sum_exp) {
    return Invalid("log_sum_exp", "true", "false: only the outputs WEIGHTS and CONTEXT have it");
  }
  const absl::Status status = DecodeAttention(request.attention(), problem);
  if (!status.ok()) return status;
  return problem;
}

absl::Status DecodeShapedOptions(const v1::ScoreRequest& request, const ScoreShape& shape,
                                 AttentionProblem& problem) {
  absl::Status status = DecodeKeyLengths(request.attention(), shape, problem);
  if (status.ok()) status = DecodeMask(request.attention(), shape, problem);
  if (status.ok() && request.has_inline_()) status = DecodeValues(request, problem);
  return status;
}

}  // namespace qkserve
