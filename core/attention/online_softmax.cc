#include "core/attention/online_softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/attention/element_types.h"
#include "core/attention/key_mask.h"
#include "core/attention/row_kernels.h"

namespace qkserve {
namespace {

// ln of the sum of e^score, from its two parts. Where all scores are NaN, max may still be -inf.
float LogSumExp(double max, double sum) {
  if (sum == 0.0) return kNotAttended;
  return static_cast<float>((max == kNotAttended ? 0.0 : max) + std::log(sum));
}

// Factor from weights relative to the score `from` to weights relative to `to`. Requires
// to >= from.
double Correction(double from, double to) { return from == to ? 1.0 : std::exp(from - to); }

bool IsZeroInFloat32(double weight) { return static_cast<float>(weight) == 0.0F; }

// A mean of finite values is finite; rounding may take it beyond the largest of them. Never -0: a
// sum of nothing but -0 may have begun with 0, or not.
float RoundedMean(double mean, std::byte infinities) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kAdded[] = {0.0F, kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN()};
  const double clamped = std::isnan(mean) ? mean : std::clamp(mean, -kLargest, kLargest);
  return static_cast<float>(clamped) + kAdded[static_cast<size_t>(infinities)];
}

}  // namespace

void ContextRow::Clear() const {
  max = kNotAttended;
  sum = 0.0;
  std::fill_n(out, columns, 0.0);
  infinite_weight = 0.0;
  std::fill_n(kinds, columns, std::byte{0});
}

void ContextRow::CorrectInfinities(double correction) const {
  if (infinite_weight == 0.0) return;
  infinite_weight *= correction;
  if (!IsZeroInFloat32(infinite_weight)) return;
  infinite_weight = 0.0;
  std::fill_n(kinds, columns, std::byte{0});
}

void ContextRow::Weigh(float* scores, int64_t count) const {
  const double new_max = std::max(max, static_cast<double>(MaxElement(scores, count)));
  const double correction = Correction(max, new_max);
  const double new_sum =
      ExpAndSum(new_max == kNotAttended ? 0.0F : static_cast<float>(new_max), count, scores);
  sum = sum * correction + new_sum;
  if (correction != 1.0) {
    for (int64_t c = 0; c < columns; ++c) out[c] *= correction;
    CorrectInfinities(correction);
  }
  max = new_max;
}

void ContextRow::Merge(const ContextRow& next) const {
  if (next.max == kNotAttended && next.sum == 0.0) return;
  const double new_max = std::max(max, next.max);
  const double old_correction = Correction(max, new_max);
  const double new_correction = Correction(next.max, new_max);
  sum = sum * old_correction + next.sum * new_correction;
  for (int64_t c = 0; c < columns; ++c) {
    out[c] = out[c] * old_correction + next.out[c] * new_correction;
  }
  CorrectInfinities(old_correction);
  const double next_weight = next.infinite_weight * new_correction;
  if (!IsZeroInFloat32(next_weight)) {
    infinite_weight = std::max(infinite_weight, next_weight);
    for (int64_t c = 0; c < columns; ++c) kinds[c] |= next.kinds[c];
  }
  max = new_max;
}

float ContextRow::Finish(DataType type, std::byte* context) const {
  constexpr int64_t kPiece = 256;  // a kilobyte of stack
  float piece[kPiece];
  const double factor = sum == 0.0 ? 0.0 : 1.0 / sum;
  CorrectInfinities(factor);
  for (int64_t begin = 0; begin < columns; begin += kPiece) {
    const int64_t count = std::min(kPiece, columns - begin);
    for (int64_t c = 0; c < count; ++c) {
      piece[c] = RoundedMean(out[begin + c] * factor, kinds[begin + c]);
    }
    ConvertFromFloat32(type, piece, count, context + begin * ElementBytes(type));
  }
  return LogSumExp(max, sum);
}

float Softmax(float* row, int64_t count) {
  const float max = MaxElement(row, count);
  const double sum = ExpAndSum(max == kNotAttended ? 0.0F : max, count, row);
  ScaleRow(sum == 0.0 ? 0.0F : static_cast<float>(1.0 / sum), count, row);
  return LogSumExp(max, sum);
}

}  // namespace qkserve
