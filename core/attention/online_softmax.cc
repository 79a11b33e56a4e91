#include "core/attention/online_softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/attention/block_product.h"
#include "core/attention/element_types.h"
#include "core/attention/key_mask.h"
#include "core/attention/row_kernels.h"
#include "core/buffer.h"

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

// A mean of finite values is finite; rounding may take it beyond the largest of them. Never -0: a
// sum of nothing but -0 may have begun with 0, or not.
float RoundedMean(double mean) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  const double clamped = std::isnan(mean) ? mean : std::clamp(mean, -kLargest, kLargest);
  return static_cast<float>(clamped) + 0.0F;
}

int64_t WholeLines(int64_t bytes) {
  constexpr auto kLine = static_cast<int64_t>(Buffer::kAlignment);
  return CeilDivide(bytes, kLine) * kLine;
}

}  // namespace

void ContextRow::Clear() const {
  max = kNotAttended;
  sum = 0.0;
  std::fill_n(out, columns, 0.0);
  *infinities.met = false;
}

void ContextRow::Weigh(float* scores, int64_t count) const {
  const double new_max = std::max(max, static_cast<double>(MaxElement(scores, count)));
  const double correction = Correction(max, new_max);
  const double new_sum =
      ExpAndSum(new_max == kNotAttended ? 0.0F : static_cast<float>(new_max), count, scores);
  sum = sum * correction + new_sum;
  if (correction != 1.0) {
    for (int64_t c = 0; c < columns; ++c) out[c] *= correction;
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
  if (*next.infinities.met) MergeInfinities(next.infinities);
  max = new_max;
}

void ContextRow::MergeInfinities(const Infinities& next) const {
  if (!*infinities.met) {
    std::copy_n(next.plus, columns, infinities.plus);
    std::copy_n(next.minus, columns, infinities.minus);
    *infinities.met = true;
    return;
  }
  for (int64_t c = 0; c < columns; ++c) {
    infinities.plus[c] = std::max(infinities.plus[c], next.plus[c]);
    infinities.minus[c] = std::max(infinities.minus[c], next.minus[c]);
  }
}

float ContextRow::AddedByInfinities(int64_t column, double factor) const {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto has_weight = [&](float score) {
    return score != kNotAttended &&
           static_cast<float>(std::exp(static_cast<double>(score) - max) * factor) != 0.0F;
  };
  const bool has_plus = has_weight(infinities.plus[column]);
  const bool has_minus = has_weight(infinities.minus[column]);
  // Their sum, but with the sign bit of NaN the same on every CPU.
  if (has_plus && has_minus) return std::numeric_limits<float>::quiet_NaN();
  if (has_plus) return kInfinity;
  return has_minus ? -kInfinity : 0.0F;
}

float ContextRow::Finish(DataType type, std::byte* context) const {
  constexpr int64_t kPiece = 256;  // a kilobyte of stack
  float piece[kPiece];
  const double factor = sum == 0.0 ? 0.0 : 1.0 / sum;
  for (int64_t begin = 0; begin < columns; begin += kPiece) {
    const int64_t count = std::min(kPiece, columns - begin);
    for (int64_t c = 0; c < count; ++c) {
      piece[c] = RoundedMean(out[begin + c] * factor);
    }
    if (*infinities.met) {
      for (int64_t c = 0; c < count; ++c) piece[c] += AddedByInfinities(begin + c, factor);
    }
    ConvertFromFloat32(type, piece, count, context + begin * ElementBytes(type));
  }
  return LogSumExp(max, sum);
}

int64_t ContextRows::SumBytes(int64_t rows, int64_t stride) {
  constexpr auto kDoubleBytes = static_cast<int64_t>(sizeof(double));
  return WholeLines(rows * ((2 + stride) * kDoubleBytes + 1));
}

int64_t ContextRows::InfinityBytes(int64_t rows, int64_t stride) {
  constexpr auto kFloatBytes = static_cast<int64_t>(sizeof(float));
  return WholeLines(2 * rows * stride * kFloatBytes);
}

ContextRows::ContextRows(std::byte* sums, std::byte* infinities, int64_t rows, int64_t columns,
                         int64_t stride)
    : out_(reinterpret_cast<double*>(sums)), max_(out_ + rows * stride), sum_(max_ + rows) {
  auto* const plus = reinterpret_cast<float*>(infinities);
  infinities_ = {.maxes = max_,
                 .met = reinterpret_cast<bool*>(sum_ + rows),
                 .plus = plus,
                 .minus = plus + rows * stride,
                 .columns = columns,
                 .stride = stride};
}

ContextRow ContextRows::Row(int64_t row) const {
  const int64_t begin = row * infinities_.stride;
  Infinities infinities = infinities_;
  infinities.maxes += row;
  infinities.met += row;
  infinities.plus += begin;
  infinities.minus += begin;
  return {.max = max_[row],
          .sum = sum_[row],
          .out = out_ + begin,
          .infinities = infinities,
          .columns = infinities_.columns};
}

float Softmax(float* row, int64_t count) {
  const float max = MaxElement(row, count);
  const double sum = ExpAndSum(max == kNotAttended ? 0.0F : max, count, row);
  ScaleRow(sum == 0.0 ? 0.0F : static_cast<float>(1.0 / sum), count, row);
  return LogSumExp(max, sum);
}

}  // namespace qkserve
