#ifndef QKSERVE_CORE_KERNELS_ROW_KERNELS_H_
#define QKSERVE_CORE_KERNELS_ROW_KERNELS_H_

#include <cstdint>

namespace qkserve {

// A score and its key.
struct TopEntry {
  float score;
  int32_t key;
};

// Steps on a piece of a row of scores, vectorised for the CPU at hand. Deterministic: bits depend
// on the values and the count.

// row *= scale, then, where softcap > 0, row = softcap * tanh(row / softcap).
void ScaleAndCap(float scale, float softcap, int64_t count, float* row);

// The largest element, -inf for none. Where there is a NaN: any element, or NaN.
float MaxElement(const float* row, int64_t count);

// Takes the row's elements that are above `limit`, in order: element j, which is no NaN, becomes
// out[taken++] = {row[j], key + j}. Returns how many elements it went over: all, or fewer where
// `room` might not hold what the next kTakeStep elements have.
inline constexpr int64_t kTakeStep = 16;
int64_t TakeAbove(float limit, int64_t count, const float* row, int64_t key, int64_t room,
                  TopEntry* out, int64_t& taken);

// row[j] = e^(row[j] - max), exactly 0 where row[j] is -inf. Returns the sum, whose relative error
// does not grow with the count.
double ExpAndSum(float max, int64_t count, float* row);

// row *= factor.
void ScaleRow(float factor, int64_t count, float* row);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KERNELS_ROW_KERNELS_H_
