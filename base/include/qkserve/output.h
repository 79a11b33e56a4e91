#ifndef QKSERVE_OUTPUT_H_
#define QKSERVE_OUTPUT_H_

namespace qkserve {

// Which stage of the computation is returned. Values and meanings are those of qkserve.v1.Output.
enum class Output { kScores = 1, kCapped = 2, kMasked = 3, kWeights = 4, kContext = 5, kTopK = 6 };

}  // namespace qkserve

#endif  // QKSERVE_OUTPUT_H_
