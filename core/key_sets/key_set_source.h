#ifndef QKSERVE_CORE_KEY_SETS_KEY_SET_SOURCE_H_
#define QKSERVE_CORE_KEY_SETS_KEY_SET_SOURCE_H_

#include <memory>

#include "core/key_sets/key_set.h"
#include "core/scoring/key_source.h"

namespace qkserve {

// The keys and values of a version, for scoring. Holds the version.
std::shared_ptr<const KeySource> MakeKeySource(std::shared_ptr<const KeySet> key_set);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_KEY_SET_SOURCE_H_
