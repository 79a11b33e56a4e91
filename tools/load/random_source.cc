#include "tools/load/random_source.h"

#include <cstring>
#include <utility>

#include "absl/status/status.h"

namespace qkserve {
namespace {

// Returns element `index` of splitmix64 (Steele, Lea, Flood 2014). The state is a counter, so any
// element can be made alone.
uint64_t Mixed(uint64_t seed, uint64_t index) {
  uint64_t z = (seed << 32) + (index + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

float RandomElement(uint64_t seed, int64_t index) {
  // A number of 24 bits is exact in float32.
  constexpr float kStep = 1.0F / (1 << 23);
  return static_cast<float>(Mixed(seed, static_cast<uint64_t>(index)) >> 40) * kStep - 1.0F;
}

}  // namespace

void FillRandom(uint64_t seed, int64_t first, absl::Span<float> out) {
  for (float& element : out) element = RandomElement(seed, first++);
}

TensorSource RandomSource(Shape shape, uint64_t seed, const std::atomic<bool>* stop) {
  return TensorSource(
      DataType::kFloat32, std::move(shape), [seed, stop](int64_t offset, absl::Span<char> out) {
        if (*stop) return absl::CancelledError("interrupted while the key set was made");
        const int64_t first = offset / 4;
        for (size_t i = 0; i < out.size() / 4; ++i) {
          const float element = RandomElement(seed, first + static_cast<int64_t>(i));
          std::memcpy(out.data() + 4 * i, &element, 4);
        }
        return absl::OkStatus();
      });
}

}  // namespace qkserve
