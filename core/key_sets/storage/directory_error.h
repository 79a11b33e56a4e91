#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_DIRECTORY_ERROR_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_DIRECTORY_ERROR_H_

#include <string>

#include "absl/status/status.h"

namespace qkserve {

// Converts an error of the key set directory `root` for callers. The result does not show the
// directory's path. A code that would mean something else to a caller becomes INTERNAL.
absl::Status DirectoryErrorForCaller(const absl::Status& status, const std::string& root);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_DIRECTORY_ERROR_H_
