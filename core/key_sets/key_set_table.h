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

// Returns the NOT_FOUND error for a name that no key set has.
absl::Status NoSuchKeySet(absl::string_view name);

// The key sets that are served. For each name the table has the newest version, or an error that
// says why no version is served.
//
// Thread-safe. No call blocks for long.
class KeySetTable {
 public:
  struct Listed {
    std::string name;
    absl::StatusOr<std::shared_ptr<const KeySet>> key_set;
    // The reason why the newest stored version is not served; empty if it is served. An older
    // version may be served instead. If no version is served, `key_set` has an error with the name
    // and this reason.
    std::string problem;
  };

  // Returns the newest version, or the error that says why none is served. NOT_FOUND: there is no
  // such name.
  absl::StatusOr<std::shared_ptr<const KeySet>> Find(absl::string_view name) const;
  // Returns what Find returns, and the problem. NOT_FOUND: there is no such name.
  absl::StatusOr<Listed> Get(absl::string_view name) const;
  // Returns up to `count` sets whose names begin with `prefix` and come after `after`, in the order
  // of their names. Sets with another prefix take no time.
  std::vector<Listed> List(absl::string_view after, int64_t count,
                           absl::string_view prefix = "") const;
  // Returns the served versions by name. A name that has an error gets version 0.
  std::map<std::string, int64_t> Versions() const;

  // Publishes the newest version of the name, or the reason why none is served. A version clears
  // the problem; a reason becomes the problem.
  void Publish(const std::string& name, absl::StatusOr<std::shared_ptr<const KeySet>> key_set);
  // Removes the name. Requests that hold a version keep it.
  void Unpublish(const std::string& name);
  // Sets the problem of the served version, or clears it if `problem` is empty. Does nothing if no
  // version of this name is served.
  void SetProblem(const std::string& name, const std::string& problem);

  // Returns the number of names, including the names with an error.
  int64_t count() const;
  // Returns the number of sets with an error or a problem.
  int64_t problem_count() const;
  // Returns the number of sets with an error. No version of such a set is served.
  int64_t unserved_count() const;

 private:
  // True if the table has the name, and no version of it is served.
  bool IsUnserved(const std::string& name) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  std::map<std::string, Listed, std::less<>> sets_ ABSL_GUARDED_BY(mutex_);
  int64_t problem_count_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t unserved_count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_KEY_SET_TABLE_H_
