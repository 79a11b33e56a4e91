#ifndef QKSERVE_BASE_CLOSEST_NAME_H_
#define QKSERVE_BASE_CLOSEST_NAME_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace qkserve {

// The name that was probably meant by `typed`, which is none of `names`: the one that takes the
// fewest changes of a letter (insert, remove, replace, swap with the next), if these are at most a
// quarter of the typed letters, rounded. "-" counts as "_". "" if no name is close.
std::string ClosestName(absl::string_view typed, const std::vector<std::string>& names);

}  // namespace qkserve

#endif  // QKSERVE_BASE_CLOSEST_NAME_H_
