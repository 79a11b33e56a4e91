#ifndef QKSERVE_SERVER_LIMITS_H_
#define QKSERVE_SERVER_LIMITS_H_

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"
#include "qkserve/limits.h"

// Limits of calls. A limit that an operator may change is the default of a flag.

namespace qkserve {

// The most bytes of a response beside the elements of its result: receipt, shape, framing.
inline constexpr int64_t kResponseOverheadBytesMax = 4 * kKiB;

// The bytes of all requests in flight (--in_flight_bytes_max).
inline constexpr int64_t kInFlightBytesMax = 2 * kGiB;

// The most uploads at a time.
inline constexpr int64_t kUploadsMax = 64;

// The most tenants whose names nobody authenticated. Further ones share one tenant. A name without
// calls for this time makes room for a new one.
inline constexpr int64_t kTenantsMax = 1000;
inline constexpr absl::Duration kTenantIdleMin = absl::Minutes(1);

// The most characters of a tenant's name.
inline constexpr size_t kTenantNameBytesMax = 128;

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIMITS_H_
