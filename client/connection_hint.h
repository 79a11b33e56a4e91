#ifndef QKSERVE_CLIENT_CONNECTION_HINT_H_
#define QKSERVE_CLIENT_CONNECTION_HINT_H_

#include "absl/strings/string_view.h"

// This header is not for users of the library.

namespace qkserve {

// Returns why there is no connection, in plain words, if the message of gRPC's UNAVAILABLE shows
// it. Returns "" otherwise.
absl::string_view ConnectionHint(absl::string_view message);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_CONNECTION_HINT_H_
