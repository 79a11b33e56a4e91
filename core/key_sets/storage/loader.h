#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_LOADER_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_LOADER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/byte_budget.h"
#include "core/key_sets/key_set.h"
#include "core/key_sets/storage/stored_sets.h"

namespace qkserve {

// Implements KeySetDirectory::Load. Thread-safe.
absl::StatusOr<std::shared_ptr<const KeySet>> LoadKeySet(
    const DirectoryState& state, const std::string& name, ByteBudget* budget,
    const std::shared_ptr<const KeySet>& current);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_LOADER_H_
