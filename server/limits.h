#ifndef QKSERVE_SERVER_LIMITS_H_
#define QKSERVE_SERVER_LIMITS_H_

#include <cstdint>

#include "qkserve/limits.h"

// Limits of calls. A limit that an operator may change is the default of a flag.

namespace qkserve {

// The most bytes of a response beside the elements of its result: receipt, shape, framing.
inline constexpr int64_t kResponseOverheadBytesMax = 4 * kKiB;

// The bytes of all requests in flight (--in_flight_bytes_max).
inline constexpr int64_t kInFlightBytesMax = 2 * kGiB;

// The most uploads at a time.
inline constexpr int64_t kUploadsMax = 64;

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIMITS_H_
