#ifndef QKSERVE_CORE_KEY_SETS_KEY_SET_TABLE_H_
#define QKSERVE_CORE_KEY_SETS_KEY_SET_TABLE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "core/key_sets/key_set.h"

namespace qkserve {

// NOT_FOUND for a name that no key set has.
absl::Status NoSuchKeySet(absl::string_view name);

// The key sets that are served: the newest version of each name, or why there is none.
//
// Thread-safe. No call blocks for long.
class KeySetTable {
 public:
  struct Listed {
    std::string name;
    absl::StatusOr<std::shared_ptr<const KeySet>> key_set;
    // Why the newest stored version is not served; empty if all is well. An older version is
    // served, or none. If none is, key_set has the same error.
    std::string problem;
  };

  // The newest version. Otherwise NOT_FOUND, or the error that was published for the name.
  absl::StatusOr<std::shared_ptr<const KeySet>> Find(absl::string_view name) const;
  // The newest version or error, with the problem. NOT_FOUND: there is no such name.
  absl::StatusOr<Listed> Get(absl::string_view name) const;
  // Up to `count` sets in the order of their names, from the first name after `after`. Only names
  // that begin with `prefix`; others take no time.
  std::vector<Listed> List(absl::string_view after, int64_t count,
                           absl::string_view prefix = "") const;
  // The versions that are served, by name. 0 for a name that has an error.
  std::map<std::string, int64_t> Versions() const;

  // Makes `key_set` the newest version, or the error that the name answers with. Clears the
  // problem.
  void Publish(const std::string& name, absl::StatusOr<std::shared_ptr<const KeySet>> key_set);
  // Removes the name. Requests that hold its version keep it.
  void Unpublish(const std::string& name);
  // Sets the problem of the served version. Empty: there is none. Does nothing if the table has no
  // set of this name.
  void SetProblem(const std::string& name, const std::string& problem);

  // The number of names, also of those with an error.
  int64_t count() const;
  // The number of sets with an error or a problem.
  int64_t problem_count() const;
  // The number of sets with an error: no version of them is served.
  int64_t unserved_count() const;

 private:
  // True if the name is there and has an error.
  bool IsUnserved(const std::string& name) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  std::map<std::string, Listed, std::less<>> sets_ ABSL_GUARDED_BY(mutex_);
  int64_t problem_count_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t unserved_count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_KEY_SET_TABLE_H_
