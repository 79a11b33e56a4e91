#ifndef QKSERVE_TESTS_SUPPORT_KEY_SETS_H_
#define QKSERVE_TESTS_SUPPORT_KEY_SETS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "core/key_sets/key_set.h"
#include "qkserve/tensor.h"

namespace qkserve {

// Makes a set of keys [.., m, d] and, unless null, values [.., m, dv]. The set keeps their types.
std::shared_ptr<const KeySet> MakeKeySet(const Tensor& keys, const Tensor* values);

// Makes the same set by putting the first of `parts` keys and appending the others part by part.
// The sum of the parts must be m.
std::shared_ptr<const KeySet> MakeKeySetInParts(const Tensor& keys, const Tensor* values,
                                                const std::vector<int64_t>& parts);

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_KEY_SETS_H_
