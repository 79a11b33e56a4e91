#ifndef QKSERVE_TOOLS_LOAD_RANDOM_SOURCE_H_
#define QKSERVE_TOOLS_LOAD_RANDOM_SOURCE_H_

#include <atomic>
#include <cstdint>

#include "absl/types/span.h"
#include "qkserve/key_set.h"
#include "qkserve/tensor.h"

namespace qkserve {

// Elements from -1 to 1, evenly spread, that depend on `seed` and their place alone: `out` are
// those from `first` on.
void FillRandom(uint64_t seed, int64_t first, absl::Span<float> out);

// A tensor of such elements in float32. They are made while they are sent. Pieces must be cut at
// elements. CANCELLED once `stop` is true.
TensorSource RandomSource(Shape shape, uint64_t seed, const std::atomic<bool>* stop);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_RANDOM_SOURCE_H_
