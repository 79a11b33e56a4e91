#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_DIRECTORY_ERROR_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_DIRECTORY_ERROR_H_

#include <string>

#include "absl/status/status.h"

namespace qkserve {

// What a caller is told of an error of the key set directory `root`: nothing of where that is, nor
// codes that mean something else to it (those become INTERNAL).
absl::Status DirectoryErrorForCaller(const absl::Status& status, const std::string& root);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_DIRECTORY_ERROR_H_
