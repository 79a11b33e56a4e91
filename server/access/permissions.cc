#include "server/access/permissions.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <tuple>

namespace qkserve {
namespace {

bool Allows(const AccessLines& lines, Permission permission, absl::string_view key_set) {
  if (permission != Permission::kRead) {
    return lines.key_sets[static_cast<size_t>(permission)].Matches(key_set);
  }
  return std::any_of(lines.key_sets.begin(), lines.key_sets.end(),
                     [&](const KeySetPatterns& patterns) { return patterns.Matches(key_set); });
}

}  // namespace

KeySetPatterns::KeySetPatterns(std::vector<KeySetPattern> patterns) {
  // The order puts a prefix just before all that it covers. Of two equal texts, the prefix comes
  // first.
  std::sort(patterns.begin(), patterns.end(), [](const KeySetPattern& a, const KeySetPattern& b) {
    return std::tie(a.text, b.is_prefix) < std::tie(b.text, a.is_prefix);
  });
  for (KeySetPattern& pattern : patterns) {
    if (patterns_.empty() || !patterns_.back().Covers(pattern.text)) {
      patterns_.push_back(std::move(pattern));
    }
  }
}

bool KeySetPatterns::Matches(absl::string_view name) const {
  // If a pattern covers the name, it is the last pattern whose text does not sort after the name.
  // Any pattern between the two would begin with the covering pattern's text. The list has none
  // such, because the constructor leaves covered patterns out.
  const auto behind = std::upper_bound(
      patterns_.begin(), patterns_.end(), name,
      [](absl::string_view text, const KeySetPattern& pattern) { return text < pattern.text; });
  return behind != patterns_.begin() && std::prev(behind)->Covers(name);
}

bool Permissions::May(Permission permission, absl::string_view key_set) const {
  return Allows(own_, permission, key_set) || Allows(anyone_, permission, key_set);
}

bool Permissions::MayWriteAny() const {
  constexpr auto kWrite = static_cast<size_t>(Permission::kWrite);
  return !own_.key_sets[kWrite].empty() || !anyone_.key_sets[kWrite].empty();
}

KeySetPatterns Permissions::Readable() const {
  std::vector<KeySetPattern> all;
  for (const AccessLines* lines : {&own_, &anyone_}) {
    for (const KeySetPatterns& patterns : lines->key_sets) {
      all.insert(all.end(), patterns.patterns().begin(), patterns.patterns().end());
    }
  }
  return KeySetPatterns(std::move(all));
}

}  // namespace qkserve
