#ifndef QKSERVE_CORE_KEY_SETS_TABLE_LOADER_H_
#define QKSERVE_CORE_KEY_SETS_TABLE_LOADER_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/byte_budget.h"
#include "core/key_sets/key_set_table.h"
#include "core/key_sets/storage/key_set_directory.h"

namespace qkserve {

// Loads the sets of a directory into a table. Thread-safe, but calls for one set must not run at
// the same time.
class TableLoader {
 public:
  // All must outlive the loader.
  TableLoader(const KeySetDirectory* directory, DirectoryObserver observer, ByteBudget* budget,
              KeySetTable* table)
      : directory_(*directory), observer_(std::move(observer)), budget_(*budget), table_(*table) {}

  // Loads all sets, with up to `threads` threads, and logs each; a set that cannot be loaded is
  // published with its error. `begin` is when the directory began to be opened. CANCELLED:
  // is_stopping. Or the error of listing the directory.
  absl::Status LoadAll(int threads, absl::Time begin);

  // Loads the stored version and publishes it. If that fails and an older version is served, that
  // stays and gets a problem; otherwise the error is published. Returns the error, as callers may
  // see it.
  absl::Status LoadOne(const std::string& name);

 private:
  void LogLoaded(const std::string& name, size_t done, size_t count) const;

  const KeySetDirectory& directory_;
  const DirectoryObserver observer_;
  ByteBudget& budget_;
  KeySetTable& table_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_TABLE_LOADER_H_
