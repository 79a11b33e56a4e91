#ifndef QKSERVE_SERVER_ACCESS_PERMISSIONS_H_
#define QKSERVE_SERVER_ACCESS_PERMISSIONS_H_

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace qkserve {

// Something that a caller may do with a key set. kScore and kWrite include kRead.
//
//   kRead   find it in ListKeySets and GetKeySet
//   kScore  score queries against it
//   kWrite  put, append and delete it
enum class Permission { kRead, kScore, kWrite };
inline constexpr std::array kPermissionNames = {"read", "score", "write"};

// The permission to score inline keys.
inline constexpr char kScoreInline[] = "score_inline";

// Key sets, by name or by the beginning of their names.
struct KeySetPattern {
  std::string text;
  bool is_prefix = false;  // true: all names that begin with `text`; false: only `text`

  bool Covers(absl::string_view name) const {
    return is_prefix ? name.substr(0, text.size()) == text : name == text;
  }
};

// A set of patterns. The time of Matches grows with the logarithm of their number.
class KeySetPatterns {
 public:
  KeySetPatterns() = default;
  explicit KeySetPatterns(std::vector<KeySetPattern> patterns);

  bool Matches(absl::string_view name) const;

  bool empty() const { return patterns_.empty(); }

  // The patterns in the order of their texts. No pattern covers another one.
  const std::vector<KeySetPattern>& patterns() const { return patterns_; }

 private:
  std::vector<KeySetPattern> patterns_;
};

// The lines of an access file about one identity, or about anyone.
struct AccessLines {
  bool may_score_inline = false;
  std::array<KeySetPatterns, kPermissionNames.size()> key_sets = {};  // by Permission
};

// The permissions of a caller: all that the lines about the caller and the lines about anyone
// allow. Immutable.
class Permissions {
 public:
  // `anyone` must outlive this object.
  Permissions(AccessLines own, const AccessLines* anyone)
      : own_(std::move(own)), anyone_(*anyone) {}

  bool MayScoreInline() const { return own_.may_score_inline || anyone_.may_score_inline; }

  // True if the caller has the permission for this key set. The name may have any length and any
  // bytes.
  bool May(Permission permission, absl::string_view key_set) const;

  // True if there can be key sets that the caller may write.
  bool MayWriteAny() const;

  // Returns patterns of the key sets that the caller may read.
  KeySetPatterns Readable() const;

 private:
  const AccessLines own_;
  const AccessLines& anyone_;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ACCESS_PERMISSIONS_H_
