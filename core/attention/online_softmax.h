#ifndef QKSERVE_CORE_ATTENTION_ONLINE_SOFTMAX_H_
#define QKSERVE_CORE_ATTENTION_ONLINE_SOFTMAX_H_

#include <cstddef>
#include <cstdint>

#include "core/attention/packed_kernel.h"
#include "core/tensor.h"

namespace qkserve {

// Softmax of rows of masked scores, whole or piece by piece (Milakov, Gimelshein, "Online
// normalizer calculation for softmax", 2018). Rows that attend nothing have weights and context of
// 0 and a log-sum-exp of -inf.

// What is known of a row of context after some keys: the largest masked score, the sum of
// e^(score - max), and the `columns` sums of e^(score - max) * value. In float64, so that the error
// does not grow with the number of keys and finite values overflow nothing. Values that are not
// finite are known apart (see Infinities).
struct ContextRow {
  double& max;
  double& sum;
  double* out;
  Infinities infinities;  // of this row
  int64_t columns;

  void Clear() const;

  // Takes the next keys in: turns their scores into weights, which are then to be added to `out`
  // times their values, and `out` into what they can be added to.
  void Weigh(float* scores, int64_t count) const;

  // Takes in what is known of further keys.
  void Merge(const ContextRow& next) const;

  // Writes the context as `type` to `context`. Returns the row's log-sum-exp.
  float Finish(DataType type, std::byte* context) const;

 private:
  void MergeInfinities(const Infinities& next) const;
  // 0, an infinity or NaN: the part of a column's mean that its infinities add. One whose weight,
  // `factor` times that relative to `max`, is 0 in float32 adds nothing, wherever its key stands.
  float AddedByInfinities(int64_t column, double factor) const;
};

// The memory of rows of context. Rows of `stride` sums follow one another.
class ContextRows {
 public:
  // Bytes of the sums, and of the infinities: about as many, which are written only if values that
  // are not finite are met. Multiples of a cache line.
  static int64_t SumBytes(int64_t rows, int64_t stride);
  static int64_t InfinityBytes(int64_t rows, int64_t stride);
  static int64_t BytesFor(int64_t rows, int64_t stride) {
    return SumBytes(rows, stride) + InfinityBytes(rows, stride);
  }

  // Takes SumBytes and InfinityBytes of (rows, stride) at `sums` and `infinities`, which are
  // aligned to float64; stride >= columns.
  ContextRows(std::byte* sums, std::byte* infinities, int64_t rows, int64_t columns,
              int64_t stride);

  ContextRow Row(int64_t row) const;
  double* out() const { return out_; }
  const Infinities& infinities() const { return infinities_; }

 private:
  double* out_;
  double* max_;
  double* sum_;
  Infinities infinities_;
};

// row = softmax(row). Returns the row's log-sum-exp.
float Softmax(float* row, int64_t count);

}  // namespace qkserve

#endif  // QKSERVE_CORE_ATTENTION_ONLINE_SOFTMAX_H_
