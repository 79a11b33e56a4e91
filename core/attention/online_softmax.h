#ifndef QKSERVE_CORE_ATTENTION_ONLINE_SOFTMAX_H_
#define QKSERVE_CORE_ATTENTION_ONLINE_SOFTMAX_H_

#include <cstddef>
#include <cstdint>

#include "core/tensor.h"

namespace qkserve {

// Softmax of rows of masked scores, whole or piece by piece (Milakov, Gimelshein, "Online
// normalizer calculation for softmax", 2018). Rows that attend nothing have weights and context of
// 0 and a log-sum-exp of -inf.

// What is known of a row of context after some keys: the largest masked score, the sum of
// e^(score - max), and the `columns` sums of e^(score - max) * value. In float64, so that the error
// does not grow with the number of keys and finite values overflow nothing. Values that are not
// finite are known apart: the largest of their weights, and their kinds by column (see Infinities).
struct ContextRow {
  double& max;
  double& sum;
  double* out;
  double& infinite_weight;
  std::byte* kinds;
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
  // Values that are not finite have `correction` times their weight. Where that is 0 in float32
  // they are forgotten: then no key adds anything, wherever it stands.
  void CorrectInfinities(double correction) const;
};

// row = softmax(row). Returns the row's log-sum-exp.
float Softmax(float* row, int64_t count);

}  // namespace qkserve

#endif  // QKSERVE_CORE_ATTENTION_ONLINE_SOFTMAX_H_
