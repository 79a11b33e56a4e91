#ifndef QKSERVE_CORE_KEY_SETS_KEY_SET_NAME_H_
#define QKSERVE_CORE_KEY_SETS_KEY_SET_NAME_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace qkserve {

// Checks the name of a key set. INVALID_ARGUMENT: the name is not [A-Za-z0-9._-]{1,128}, or begins
// with a dot. A valid name can name a folder. It never equals the name of a file that the storage
// keeps beside the folders.
absl::Status ValidateKeySetName(absl::string_view name);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_KEY_SET_NAME_H_
