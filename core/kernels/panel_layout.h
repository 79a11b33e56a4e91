#ifndef QKSERVE_CORE_KERNELS_PANEL_LAYOUT_H_
#define QKSERVE_CORE_KERNELS_PANEL_LAYOUT_H_

#include <cstdint>

#include "core/kernels/panels.h"
#include "qkserve/tensor.h"

// The places of keys in a panel, for the kernels that write and read it. They are the same on
// every instruction set.

namespace qkserve {

// An element of all keys of a panel:
//   float32, float16: in the order of the keys;
//   bfloat16: 32 pairs of keys i and i + 32. Read as 32-bit numbers (little-endian), they are
//   widened without a shuffle: a shift leaves key i, a mask key i + 32.
inline constexpr int64_t kPairDistance = kPanelKeys / 2;

constexpr int64_t PlaceInPanelRow(DataType type, int64_t key) {
  if (type != DataType::kBfloat16) return key;
  return key < kPairDistance ? 2 * key : 2 * (key - kPairDistance) + 1;
}

}  // namespace qkserve

#endif  // QKSERVE_CORE_KERNELS_PANEL_LAYOUT_H_
