#ifndef QKSERVE_SERVER_ACCESS_PERMITTED_KEY_SETS_H_
#define QKSERVE_SERVER_ACCESS_PERMITTED_KEY_SETS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/key_sets/key_set_store.h"
#include "server/access/permissions.h"

namespace qkserve {

// The key sets as one caller sees them. Every call on key sets goes through this class, in any
// protocol.
//
// Errors. NOT_FOUND: there is no such set, or the caller may not read it. Both cases have the same
// text and take the same time, because the set is looked up in either case. PERMISSION_DENIED: the
// caller may read the set, but may not do this with it. Other errors are those of KeySetStore.
class PermittedKeySets {
 public:
  // `permissions` is null if the caller may do everything. Both must outlive this object.
  PermittedKeySets(const KeySetStore* key_sets, const Permissions* permissions)
      : key_sets_(*key_sets), permissions_(permissions) {}

  // Returns the newest version, to score queries against it.
  absl::StatusOr<std::shared_ptr<const KeySet>> FindToScore(absl::string_view name) const;
  // Returns the newest version, for an append.
  absl::StatusOr<std::shared_ptr<const KeySet>> FindForAppend(absl::string_view name,
                                                              int64_t expected_version) const;
  absl::StatusOr<KeySetStore::Listed> Get(absl::string_view name) const;
  // Returns up to `count` sets that the caller may read, in the order of their names, from the
  // first name after `after`. Sets that the caller may not read take no time.
  std::vector<KeySetStore::Listed> List(absl::string_view after, int64_t count) const;

  // Checks if the caller may put a set. If not, the error is PERMISSION_DENIED, even for a set that
  // the caller may not read. It does not reveal whether the set exists, because a name without a
  // set gets the same error.
  absl::Status CheckPut(absl::string_view name) const;
  // Checks if the caller may append to a set or delete it. NOT_FOUND if there is no such set, even
  // if the caller has the permission.
  absl::Status CheckChange(absl::string_view name) const;

 private:
  bool May(Permission permission, absl::string_view name) const {
    return permissions_ == nullptr || permissions_->May(permission, name);
  }
  // Returns OK, or the error for a caller that lacks the permission for a set.
  absl::Status Check(Permission permission, absl::string_view name) const;

  const KeySetStore& key_sets_;
  const Permissions* const permissions_;
};

// Returns PERMISSION_DENIED unless the caller may score inline keys.
absl::Status CheckScoreInline(const Permissions* permissions);

// True if the status is NOT_FOUND because the caller may not read the set. Metrics need this
// reason, which a caller cannot see.
bool IsHidden(const absl::Status& status);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ACCESS_PERMITTED_KEY_SETS_H_
