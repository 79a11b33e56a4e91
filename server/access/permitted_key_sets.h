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

// The key sets as one caller sees them. Every call on key sets goes through here, by whatever
// protocol it came.
//
// A key set that the caller may not read does not exist for it: the answer is NOT_FOUND, with the
// text and in the time of a name that no key set has. The set is looked up in either case.
// PERMISSION_DENIED: the caller may read the set, but not do this with it. Other errors are those
// of KeySetStore.
class PermittedKeySets {
 public:
  // `permissions` is null if the caller may do everything. Both must outlive this object.
  PermittedKeySets(const KeySetStore* key_sets, const Permissions* permissions)
      : key_sets_(*key_sets), permissions_(permissions) {}

  // The newest version, to score queries against it.
  absl::StatusOr<std::shared_ptr<const KeySet>> FindToScore(absl::string_view name) const;
  // The newest version, for an append.
  absl::StatusOr<std::shared_ptr<const KeySet>> FindForAppend(absl::string_view name,
                                                              int64_t expected_version) const;
  absl::StatusOr<KeySetStore::Listed> Get(absl::string_view name) const;
  // Up to `count` sets that the caller may read, in the order of their names, from the first name
  // after `after`. Sets that it may not read take no time.
  std::vector<KeySetStore::Listed> List(absl::string_view after, int64_t count) const;

  // Checked before a set is put. PERMISSION_DENIED also if the caller may not read the set: a put
  // makes sets, so the answer does not tell if there is one.
  absl::Status CheckPut(absl::string_view name) const;
  // Checked before a set is appended to or deleted. NOT_FOUND also if there is no such set.
  absl::Status CheckChange(absl::string_view name) const;

 private:
  bool May(Permission permission, absl::string_view name) const {
    return permissions_ == nullptr || permissions_->May(permission, name);
  }
  // OK, or the error of a caller that lacks the permission for a set.
  absl::Status Check(Permission permission, absl::string_view name) const;

  const KeySetStore& key_sets_;
  const Permissions* const permissions_;
};

// PERMISSION_DENIED unless the caller may score keys that come inside the request.
absl::Status CheckScoreInline(const Permissions* permissions);

// True if the status is NOT_FOUND because the caller may not read the set. For metrics; a caller
// cannot see it.
bool IsHidden(const absl::Status& status);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ACCESS_PERMITTED_KEY_SETS_H_
