#ifndef QKSERVE_CORE_KEY_SETS_LIMITS_H_
#define QKSERVE_CORE_KEY_SETS_LIMITS_H_

#include <cstdint>

// Limits of a key set.

namespace qkserve {

// Keys of a key set: indices of top k are 32 bits.
inline constexpr int64_t kKeySetKeysMax = (int64_t{1} << 31) - 1;

// Elements of keys, or of values, and [m, d] matrices of a set. Far beyond any memory, and small
// enough that no sum of bytes overflows.
inline constexpr int64_t kKeySetElementsMax = int64_t{1} << 48;
inline constexpr int64_t kKeySetMatricesMax = int64_t{1} << 20;

// Elements of a key, or of a value: a row is held whole while it comes.
inline constexpr int64_t kKeySetColumnsMax = int64_t{1} << 20;

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_LIMITS_H_
