#ifndef QKSERVE_BASE_INVALID_ARGUMENT_H_
#define QKSERVE_BASE_INVALID_ARGUMENT_H_

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace qkserve {

// Returns INVALID_ARGUMENT with this message. Its parts may be of any type that absl::StrCat takes.
template <class... Parts>
absl::Status InvalidArgument(const Parts&... message) {
  return absl::InvalidArgumentError(absl::StrCat(message...));
}

// Returns INVALID_ARGUMENT with the message "FILE: WHAT", for a file that is not in the format that
// its reader expects. `what` is given in parts.
template <class... Parts>
absl::Status FormatError(absl::string_view file, const Parts&... what) {
  return InvalidArgument(file, ": ", what...);
}

}  // namespace qkserve

#endif  // QKSERVE_BASE_INVALID_ARGUMENT_H_
