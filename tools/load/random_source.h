#ifndef QKSERVE_TOOLS_LOAD_RANDOM_SOURCE_H_
#define QKSERVE_TOOLS_LOAD_RANDOM_SOURCE_H_

#include <atomic>
#include <cstdint>

#include "absl/types/span.h"
#include "qkserve/key_set.h"
#include "qkserve/tensor.h"

namespace qkserve {

// Fills `out` with the elements from index `first` on. Elements are spread evenly from -1 to 1.
// Each depends only on `seed` and its index.
void FillRandom(uint64_t seed, int64_t first, absl::Span<float> out);

// Returns a float32 tensor of the elements of FillRandom. The elements are made while they are
// sent. A read must not split an element. Reading returns CANCELLED once `stop` is true.
TensorSource RandomSource(Shape shape, uint64_t seed, const std::atomic<bool>* stop);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_RANDOM_SOURCE_H_
