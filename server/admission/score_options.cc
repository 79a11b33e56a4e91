#include "server/admission/score_options.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/admission/field_error.h"

namespace qkserve {
namespace {

absl::Status CheckWindow(int64_t value, absl::string_view field) {
  if (value >= -1) return absl::OkStatus();
  return FieldError(field, absl::StrCat(value), "-1 (open) or more");
}

absl::Status CheckNumbers(const ScoreCall& call) {
  if (!std::isfinite(call.scale)) {
    return FieldError(call.names->scale, absl::StrCat(call.scale), "a finite number");
  }
  if (!std::isfinite(call.softcap) || call.softcap < 0.0F) {
    return FieldError(call.names->softcap, absl::StrCat(call.softcap),
                      "a finite number of 0 or more");
  }
  absl::Status status = CheckWindow(call.window_left, call.names->window_left);
  status.Update(CheckWindow(call.window_right, call.names->window_right));
  return status;
}

absl::Status AdmitKeyLengths(const ScoreCall& call, const ScoreShape& shape,
                             AttentionProblem& problem) {
  if (call.key_lengths.empty()) return absl::OkStatus();
  const absl::string_view field = call.names->key_lengths;
  if (call.offset.has_value()) {
    return FieldError(call.names->offset, absl::StrCat(*call.offset),
                      "none beside key_lengths, which set it");
  }
  if (static_cast<int64_t>(call.key_lengths.size()) != shape.batch) {
    return FieldError(field, absl::StrCat(call.key_lengths.size(), " lengths"),
                      absl::StrCat(shape.batch, ", one a batch"));
  }
  for (size_t b = 0; b < call.key_lengths.size(); ++b) {
    const int64_t length = call.key_lengths[b];
    if (length < 0 || length > shape.m) {
      return FieldError(absl::StrCat(field, "[", b, "]"), absl::StrCat(length),
                        absl::StrCat("0 to m = ", shape.m));
    }
  }
  problem.key_lengths.assign(call.key_lengths.begin(), call.key_lengths.end());
  return absl::OkStatus();
}

absl::Status CheckMask(const ScoreCall& call, const ScoreShape& shape) {
  if (!call.mask->ok()) return call.mask->status();
  const Shape& mask = (*call.mask)->shape;
  const Shape& result = shape.result;
  bool fits = mask.size() <= result.size() && mask.back() <= shape.m;
  for (size_t from_right = 1; fits && from_right < mask.size(); ++from_right) {
    const int64_t size = mask[mask.size() - 1 - from_right];
    fits = size == 1 || size == result[result.size() - 1 - from_right];
  }
  if (fits) return absl::OkStatus();
  return FieldError(absl::StrCat(call.names->mask, ".shape"), ShapeString(mask),
                    absl::StrCat("a shape that broadcasts to ", ShapeString(result),
                                 " (right-aligned; the last dimension at most m = ", shape.m, ")"));
}

absl::Status CheckValues(const ScoreCall& call, const Shape& keys) {
  const absl::string_view field = call.names->values;
  const bool needs_values = call.output == Output::kContext;
  if (!call.values.has_value()) {
    return needs_values ? FieldError(field, "none", "a tensor, for the output CONTEXT")
                        : absl::OkStatus();
  }
  if (!needs_values) {
    return FieldError(field, "a tensor", "none: only the output CONTEXT uses them");
  }
  if (!call.values->ok()) return call.values->status();
  const Shape& values = (*call.values)->shape;
  if (values.size() == keys.size() && std::equal(keys.begin(), keys.end() - 1, values.begin())) {
    return absl::OkStatus();
  }
  return FieldError(
      absl::StrCat(field, ".shape"), ShapeString(values),
      absl::StrCat("all dimensions but the last as in ", call.names->keys, " ", ShapeString(keys)));
}

}  // namespace

absl::Status AdmitOptions(const ScoreCall& call, AttentionProblem& problem) {
  const bool is_top_k = call.output == Output::kTopK;
  if (is_top_k ? call.top_k < 1 : call.top_k != 0) {
    return FieldError(call.names->top_k, absl::StrCat(call.top_k),
                      is_top_k ? "1 or more" : "none: only the output TOP_K uses it");
  }
  const bool has_log_sum_exp = call.output == Output::kWeights || call.output == Output::kContext;
  if (call.log_sum_exp && !has_log_sum_exp) {
    return FieldError(call.names->log_sum_exp, "true",
                      "false: only the outputs WEIGHTS and CONTEXT have it");
  }
  absl::Status status = CheckNumbers(call);
  if (!status.ok()) return status;
  problem.scale = call.scale;
  problem.softcap = call.softcap;
  problem.is_causal = call.is_causal;
  problem.window_left = call.window_left;
  problem.window_right = call.window_right;
  problem.offset = call.offset.value_or(0);
  problem.output = call.output;
  problem.result_type = call.result_type;
  problem.top_k = call.top_k;
  return absl::OkStatus();
}

absl::Status AdmitShapedOptions(ScoreCall& call, const ScoreShape& shape,
                                AttentionProblem& problem) {
  absl::Status status = AdmitKeyLengths(call, shape, problem);
  if (status.ok() && call.mask.has_value()) status = CheckMask(call, shape);
  if (status.ok() && !call.key_set.has_value()) status = CheckValues(call, problem.keys.shape);
  if (!status.ok()) return status;
  if (call.mask.has_value()) problem.mask = **std::move(call.mask);
  if (call.values.has_value()) problem.values = **std::move(call.values);
  return absl::OkStatus();
}

}  // namespace qkserve
