#ifndef QKSERVE_SERVER_LIFECYCLE_HEALTH_CHECK_H_
#define QKSERVE_SERVER_LIFECYCLE_HEALTH_CHECK_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace qkserve {

// Asks a running server for its health (grpc.health.v1). OK: it serves. UNAVAILABLE: it does not
// serve, or nobody answers. Other errors are the call's.
absl::Status CheckHealth(const std::string& address, absl::Duration timeout);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_HEALTH_CHECK_H_
