#ifndef QKSERVE_CORE_KEY_SETS_KEY_SET_NAME_H_
#define QKSERVE_CORE_KEY_SETS_KEY_SET_NAME_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace qkserve {

// INVALID_ARGUMENT: not [A-Za-z0-9._-]{1,128} without a leading dot. What is valid is the name of a
// directory, and no name of a file of ours.
absl::Status ValidateKeySetName(absl::string_view name);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_KEY_SET_NAME_H_
