#ifndef QKSERVE_CORE_KEY_SETS_LIMITS_H_
#define QKSERVE_CORE_KEY_SETS_LIMITS_H_

#include <cstdint>

// Limits of key sets.

namespace qkserve {

// The most keys of a key set. The limit comes from top k, whose indices have 32 bits.
inline constexpr int64_t kKeySetKeysMax = (int64_t{1} << 31) - 1;

// The most elements of a column, and the most [m, d] matrices of a set. Both are far beyond any
// memory, and small enough that no sum of bytes overflows 64 bits.
inline constexpr int64_t kKeySetElementsMax = int64_t{1} << 48;
inline constexpr int64_t kKeySetMatricesMax = int64_t{1} << 20;

// The most elements of a row. A whole row is kept in memory while it is received.
inline constexpr int64_t kKeySetColumnsMax = int64_t{1} << 20;

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_LIMITS_H_
