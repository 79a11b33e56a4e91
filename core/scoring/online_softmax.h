#ifndef QKSERVE_CORE_SCORING_ONLINE_SOFTMAX_H_
#define QKSERVE_CORE_SCORING_ONLINE_SOFTMAX_H_

#include <cstddef>
#include <cstdint>

#include "core/kernels/panels.h"
#include "qkserve/tensor.h"

namespace qkserve {

// Softmax of rows of masked scores. A row comes whole or piece by piece (Milakov, Gimelshein,
// "Online normalizer calculation for softmax", 2018). A row that attends no key has weights and
// context of 0 and a log-sum-exp of -inf.
//
// The state of a row's context after some keys is a row of ContextSums: the largest masked score,
// the sum of e^(score - max), and the sums of e^(score - max) * value. All of these are float64, so
// the error does not grow with the number of keys and finite values do not overflow.

// Return the bytes that `rows` rows need for their sums, and about as many bytes for their
// infinities (ContextSums::plus and minus). Both numbers are multiples of a cache line. The
// infinities are written only if a value is infinite or NaN.
int64_t ContextSumBytes(int64_t rows, int64_t columns);
int64_t ContextInfinityBytes(int64_t rows, int64_t columns);

// Returns the sums of `rows` rows, placed in memory of these sizes. The memory must be aligned to
// float64.
ContextSums ContextSumsAt(std::byte* sums, std::byte* infinities, int64_t rows, int64_t columns);

// The functions below work on the first row of the sums.

// Clears the row: maximum -inf, sums 0, no infinities.
void ClearContext(const ContextSums& row);

// Takes the scores of the next keys. Replaces them by weights relative to the new maximum, and
// rescales the sums to that maximum. The caller then adds the weighted values.
void WeighScores(float* scores, int64_t count, const ContextSums& row);

// Adds the context of further keys to `row`.
void MergeContext(const ContextSums& next, const ContextSums& row);

// Writes the context as `type` to `context`. Returns the row's log-sum-exp.
float WriteContext(const ContextSums& row, DataType type, std::byte* context);

// Replaces the row by its softmax. Returns the row's log-sum-exp.
float Softmax(float* row, int64_t count);

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_ONLINE_SOFTMAX_H_
