#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_DIRECTORY_ERROR_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_DIRECTORY_ERROR_H_

#include <string>

#include "absl/status/status.h"

namespace qkserve {

// An error of the key set directory `root` as a caller may see it. The directory's path is left
// out. A code that means something else to a caller becomes INTERNAL.
absl::Status DirectoryErrorForCaller(const absl::Status& status, const std::string& root);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_DIRECTORY_ERROR_H_
