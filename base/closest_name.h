#ifndef QKSERVE_BASE_CLOSEST_NAME_H_
#define QKSERVE_BASE_CLOSEST_NAME_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace qkserve {

// Returns the name that `typed` probably means, or "" if no name is close. `typed` is not in
// `names`. The closest name takes the fewest changes. A change inserts, removes or replaces a
// letter, or swaps two neighbouring letters. A name is close if the changes are at most a quarter
// of the typed letters, rounded. "-" counts as "_".
std::string ClosestName(absl::string_view typed, const std::vector<std::string>& names);

}  // namespace qkserve

#endif  // QKSERVE_BASE_CLOSEST_NAME_H_
