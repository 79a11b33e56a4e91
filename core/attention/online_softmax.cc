#include "core/attention/online_softmax.h"

#include <algorithm>
#include <cmath>

#include "core/attention/key_mask.h"
#include "core/attention/row_kernels.h"

namespace qkserve {
namespace {

// ln of the sum of e^score, from its two parts. Where all scores are NaN, max may still be -inf.
float LogSumExp(float max, float sum) {
  if (sum == 0.0F) return kNotAttended;
  return (max == kNotAttended ? 0.0F : max) + std::log(sum);
}

float Inverse(float sum) { return sum == 0.0F ? 0.0F : 1.0F / sum; }

}  // namespace

void ContextRow::Clear() const {
  max = kNotAttended;
  sum = 0.0F;
  std::fill_n(out, columns, 0.0F);
}

void ContextRow::Weigh(float* scores, int64_t count) const {
  const float new_max = std::max(max, MaxElement(scores, count));
  const float correction = new_max == kNotAttended ? 1.0F : std::exp(max - new_max);
  const float new_sum = ExpAndSum(new_max == kNotAttended ? 0.0F : new_max, count, scores);
  sum = sum * correction + new_sum;
  if (correction != 1.0F) ScaleRow(correction, columns, out);
  max = new_max;
}

void ContextRow::Merge(const ContextRow& next) const {
  if (next.max == kNotAttended && next.sum == 0.0F) return;
  const float new_max = std::max(max, next.max);
  const float guard = new_max == kNotAttended ? 0.0F : new_max;
  const float old_factor = max == kNotAttended && sum == 0.0F ? 0.0F : std::exp(max - guard);
  const float new_factor = std::exp(next.max - guard);
  sum = sum * old_factor + next.sum * new_factor;
  for (int64_t c = 0; c < columns; ++c) {
    out[c] = out[c] * old_factor + next.out[c] * new_factor;
  }
  max = new_max;
}

float ContextRow::Finish() const {
  ScaleRow(Inverse(sum), columns, out);
  // No -0: keys that only other rows of a block attend have added +0, or have not.
  for (int64_t c = 0; c < columns; ++c) out[c] += 0.0F;
  return LogSumExp(max, sum);
}

float Softmax(float* row, int64_t count) {
  const float max = MaxElement(row, count);
  const float sum = ExpAndSum(max == kNotAttended ? 0.0F : max, count, row);
  ScaleRow(Inverse(sum), count, row);
  return LogSumExp(max, sum);
}

}  // namespace qkserve
