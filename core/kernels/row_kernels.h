#ifndef QKSERVE_CORE_KERNELS_ROW_KERNELS_H_
#define QKSERVE_CORE_KERNELS_ROW_KERNELS_H_

#include <cstdint>

namespace qkserve {

// A score and its key.
struct TopEntry {
  float score;
  int32_t key;
};

// Steps on a piece of a row of scores, vectorised for the CPU at hand. Deterministic: their bits
// depend on the values and the count.

// row *= scale. Then, if softcap > 0, row = softcap * tanh(row / softcap).
void ScaleAndCap(float scale, float softcap, int64_t count, float* row);

// The largest element; -inf if `count` is 0. If the row has a NaN, the result may be any element or
// NaN.
float MaxElement(const float* row, int64_t count);

// Takes the row's elements above `limit`, in order: element j becomes out[taken++] = {row[j], key +
// j}. NaN is never taken. `taken` begins with 0. Returns how many elements it looked at. These are
// fewer than all if the next kTakeStep elements might not fit in `room` entries.
inline constexpr int64_t kTakeStep = 16;
int64_t TakeAbove(float limit, int64_t count, const float* row, int64_t key, int64_t room,
                  TopEntry* out, int64_t& taken);

// row[j] = e^(row[j] - max), exactly 0 if row[j] is -inf. Returns the sum. Its relative error does
// not grow with the count.
double ExpAndSum(float max, int64_t count, float* row);

// row *= factor.
void ScaleRow(float factor, int64_t count, float* row);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KERNELS_ROW_KERNELS_H_
