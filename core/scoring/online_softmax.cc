#include "core/scoring/online_softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/kernels/element_conversion.h"
#include "core/kernels/row_kernels.h"
#include "core/scoring/score_mask.h"
#include "qkserve/buffer.h"

namespace qkserve {
namespace {

// Returns the logarithm of the sum of e^score, given the maximum and the sum of e^(score - max). If
// all scores are NaN, max may still be -inf.
float LogSumExp(double max, double sum) {
  if (sum == 0.0) return kNotAttended;
  return static_cast<float>((max == kNotAttended ? 0.0 : max) + std::log(sum));
}

// Returns the factor that turns weights relative to the score `from` into weights relative to the
// score `to`. Requires to >= from.
double Correction(double from, double to) { return from == to ? 1.0 : std::exp(from - to); }

// Rounds a mean to float32. A mean of finite values stays finite, because it is clamped to the
// range of float32. The result is never -0. A mean of values of -0 would otherwise be 0 or -0,
// depending on how the sum began.
float RoundedMean(double mean) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  const double clamped = std::isnan(mean) ? mean : std::clamp(mean, -kLargest, kLargest);
  return static_cast<float>(clamped) + 0.0F;
}

void MergeInfinities(const ContextSums& next, const ContextSums& row) {
  if (!*next.met) return;
  if (!*row.met) {
    std::copy_n(next.plus, row.columns, row.plus);
    std::copy_n(next.minus, row.columns, row.minus);
    *row.met = true;
    return;
  }
  for (int64_t c = 0; c < row.columns; ++c) {
    row.plus[c] = std::max(row.plus[c], next.plus[c]);
    row.minus[c] = std::max(row.minus[c], next.minus[c]);
  }
}

// Returns what infinities and NaN add to a column's mean: 0, an infinity or NaN. A value adds
// nothing if its weight, `factor` * e^(score - max), is 0 in float32. So the order of the keys does
// not matter.
float AddedByInfinities(const ContextSums& row, int64_t column, double factor) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto has_weight = [&](float score) {
    return score != kNotAttended &&
           static_cast<float>(std::exp(static_cast<double>(score) - *row.max) * factor) != 0.0F;
  };
  const bool has_plus = has_weight(row.plus[column]);
  const bool has_minus = has_weight(row.minus[column]);
  // inf - inf is not computed here, because the sign bit of its NaN differs between CPUs.
  if (has_plus && has_minus) return std::numeric_limits<float>::quiet_NaN();
  if (has_plus) return kInfinity;
  return has_minus ? -kInfinity : 0.0F;
}

}  // namespace

int64_t ContextSumBytes(int64_t rows, int64_t columns) {
  return Buffer::Aligned(rows * ((2 + PaddedColumns(columns)) * sizeof(double) + 1));
}

int64_t ContextInfinityBytes(int64_t rows, int64_t columns) {
  return Buffer::Aligned(2 * rows * PaddedColumns(columns) * sizeof(float));
}

ContextSums ContextSumsAt(std::byte* sums, std::byte* infinities, int64_t rows, int64_t columns) {
  ContextSums all = {.columns = columns, .stride = PaddedColumns(columns)};
  all.out = reinterpret_cast<double*>(sums);
  all.max = all.out + rows * all.stride;
  all.sum = all.max + rows;
  all.met = reinterpret_cast<bool*>(all.sum + rows);
  all.plus = reinterpret_cast<float*>(infinities);
  all.minus = all.plus + rows * all.stride;
  return all;
}

void ClearContext(const ContextSums& row) {
  *row.max = kNotAttended;
  *row.sum = 0.0;
  std::fill_n(row.out, row.columns, 0.0);
  *row.met = false;
}

void WeighScores(float* scores, int64_t count, const ContextSums& row) {
  const double new_max = std::max(*row.max, static_cast<double>(MaxElement(scores, count)));
  const double correction = Correction(*row.max, new_max);
  const double new_sum =
      ExpAndSum(new_max == kNotAttended ? 0.0F : static_cast<float>(new_max), count, scores);
  *row.sum = *row.sum * correction + new_sum;
  if (correction != 1.0) {
    for (int64_t c = 0; c < row.columns; ++c) row.out[c] *= correction;
  }
  *row.max = new_max;
}

void MergeContext(const ContextSums& next, const ContextSums& row) {
  if (*next.max == kNotAttended && *next.sum == 0.0) return;
  const double new_max = std::max(*row.max, *next.max);
  const double old_correction = Correction(*row.max, new_max);
  const double new_correction = Correction(*next.max, new_max);
  *row.sum = *row.sum * old_correction + *next.sum * new_correction;
  for (int64_t c = 0; c < row.columns; ++c) {
    row.out[c] = row.out[c] * old_correction + next.out[c] * new_correction;
  }
  MergeInfinities(next, row);
  *row.max = new_max;
}

float WriteContext(const ContextSums& row, DataType type, std::byte* context) {
  constexpr int64_t kPiece = 256;  // a kilobyte of stack
  float piece[kPiece];
  const double factor = *row.sum == 0.0 ? 0.0 : 1.0 / *row.sum;
  for (int64_t begin = 0; begin < row.columns; begin += kPiece) {
    const int64_t count = std::min(kPiece, row.columns - begin);
    for (int64_t c = 0; c < count; ++c) {
      piece[c] = RoundedMean(row.out[begin + c] * factor);
    }
    if (*row.met) {
      for (int64_t c = 0; c < count; ++c) piece[c] += AddedByInfinities(row, begin + c, factor);
    }
    ConvertFromFloat32(type, piece, count, context + begin * ElementBytes(type));
  }
  return LogSumExp(*row.max, *row.sum);
}

float Softmax(float* row, int64_t count) {
  const float max = MaxElement(row, count);
  const double sum = ExpAndSum(max == kNotAttended ? 0.0F : max, count, row);
  ScaleRow(sum == 0.0 ? 0.0F : static_cast<float>(1.0 / sum), count, row);
  return LogSumExp(max, sum);
}

}  // namespace qkserve
