#include "base/closest_name.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_replace.h"

namespace qkserve {
namespace {

// Returns how many changes turn one text into the other (optimal string alignment).
size_t EditDistance(absl::string_view a, absl::string_view b) {
  // at[i][j] is the distance between the first i letters of `a` and the first j letters of `b`.
  std::vector<std::vector<size_t>> at(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        at[i][j] = i + j;
        continue;
      }
      const size_t replaced = at[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      at[i][j] = std::min({replaced, at[i - 1][j] + 1, at[i][j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        at[i][j] = std::min(at[i][j], at[i - 2][j - 2] + 1);
      }
    }
  }
  return at[a.size()][b.size()];
}

}  // namespace

std::string ClosestName(absl::string_view typed, const std::vector<std::string>& names) {
  // A longer text is not a name, and its table would be large.
  constexpr size_t kTypedMax = 64;
  if (typed.size() > kTypedMax) return "";
  const std::string text = absl::StrReplaceAll(typed, {{"-", "_"}});
  std::string closest;
  size_t changes = (text.size() + 2) / 4 + 1;
  for (const std::string& name : names) {
    const size_t distance = EditDistance(text, absl::StrReplaceAll(name, {{"-", "_"}}));
    if (distance >= changes) continue;
    changes = distance;
    closest = name;
  }
  return closest;
}

}  // namespace qkserve
