#ifndef QKSERVE_CORE_ATTENTION_ROW_KERNELS_H_
#define QKSERVE_CORE_ATTENTION_ROW_KERNELS_H_

#include <cstdint>

namespace qkserve {

// What happens to a piece of a row of scores, vectorised for the CPU at hand. Deterministic: bits
// depend on the values and the count.

// row *= scale, then, where softcap > 0, row = softcap * tanh(row / softcap).
void ScaleAndCap(float scale, float softcap, int64_t count, float* row);

// The largest element, -inf for none. Where there is a NaN: any element, or NaN.
float MaxElement(const float* row, int64_t count);

// How many elements at the beginning of the row are below `limit`: up to the first that is not, NaN
// among them, or all.
int64_t CountBelow(float limit, int64_t count, const float* row);

// row[j] = e^(row[j] - max), exactly 0 where row[j] is -inf. Returns the sum, whose relative error
// does not grow with the count.
double ExpAndSum(float max, int64_t count, float* row);

// row *= factor.
void ScaleRow(float factor, int64_t count, float* row);

}  // namespace qkserve

#endif  // QKSERVE_CORE_ATTENTION_ROW_KERNELS_H_
