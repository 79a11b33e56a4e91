#ifndef QKSERVE_OUTPUT_H_
#define QKSERVE_OUTPUT_H_

#include <array>
#include <cstddef>

#include "absl/strings/string_view.h"

namespace qkserve {

// A request's choice of a result. Values and meanings are those of qkserve.v1.Output.
enum class Output {
  kScores = 1,   // [.., n, m]
  kCapped = 2,   // [.., n, m]
  kMasked = 3,   // [.., n, m]
  kWeights = 4,  // [.., n, m]
  kContext = 5,  // [.., n, dv]
  kTopK = 6,     // [.., n, top_k]
};

// The names of qkserve.v1.Output in lower case. Output value 1 comes first.
inline constexpr std::array<absl::string_view, 6> kOutputNames = {"scores",  "capped",  "masked",
                                                                  "weights", "context", "top_k"};

inline absl::string_view OutputName(Output output) {
  return kOutputNames[static_cast<size_t>(output) - 1];
}

}  // namespace qkserve

#endif  // QKSERVE_OUTPUT_H_
