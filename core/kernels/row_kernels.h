#ifndef QKSERVE_CORE_KERNELS_ROW_KERNELS_H_
#define QKSERVE_CORE_KERNELS_ROW_KERNELS_H_

#include <cstdint>

namespace qkserve {

// A score and its key.
struct TopEntry {
  float score;
  int32_t key;
};

// Functions that work on a piece of a row of scores, vectorised for the CPU at hand. The bits of
// their results depend only on the values and the count.

// Multiplies the row by `scale`. Then, if softcap > 0, replaces each element x by softcap * tanh(x
// / softcap).
void ScaleAndCap(float scale, float softcap, int64_t count, float* row);

// Returns the largest element, or -inf if `count` is 0. If the row has a NaN, the result may be NaN
// or any element.
float MaxElement(const float* row, int64_t count);

// Takes the row's elements above `limit`, in order: element j becomes out[taken++] = {row[j], key +
// j}. NaN is never taken. `taken` is set to 0 first. Returns the number of elements that were
// checked. This number is below `count` if the next kTakeStep elements might not fit in `room`
// entries.
inline constexpr int64_t kTakeStep = 16;
int64_t TakeAbove(float limit, int64_t count, const float* row, int64_t key, int64_t room,
                  TopEntry* out, int64_t& taken);

// Replaces row[j] by e^(row[j] - max), or by exactly 0 if row[j] is -inf. Returns the sum of the
// new elements. The relative error of the sum does not grow with the count.
double ExpAndSum(float max, int64_t count, float* row);

// Multiplies the row by `factor`.
void ScaleRow(float factor, int64_t count, float* row);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KERNELS_ROW_KERNELS_H_
