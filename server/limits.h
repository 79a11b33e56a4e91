#ifndef QKSERVE_SERVER_LIMITS_H_
#define QKSERVE_SERVER_LIMITS_H_

#include <cstdint>

#include "qkserve/limits.h"

// Limits of calls. Those that an operator may change are the defaults of flags.

namespace qkserve {

// Bytes that a response may hold beside the elements of its result: receipt, shape, framing.
inline constexpr int64_t kResponseOverheadBytesMax = 4 * kKiB;

// Bytes of all requests in flight (--in_flight_bytes_max).
inline constexpr int64_t kInFlightBytesMax = 2 * kGiB;

// Uploads that may be under way at a time.
inline constexpr int64_t kUploadsMax = 64;

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIMITS_H_
