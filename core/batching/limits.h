#ifndef QKSERVE_CORE_BATCHING_LIMITS_H_
#define QKSERVE_CORE_BATCHING_LIMITS_H_

#include <cstdint>

#include "absl/time/time.h"

// Limits of the queue.

namespace qkserve {

// The most requests that may wait (--queue_requests_max).
inline constexpr int64_t kQueueRequestsMax = 10'000;

// The longest time that a request may wait (--queue_time_max).
inline constexpr absl::Duration kQueueTimeMax = absl::Seconds(5);

// The most worker time that a tenant saves up while it has no work. Two of the longest passes of 20
// ms fit in it, and a tile that is running. Beside a tenant that floods the server, the median of a
// quiet tenant was 16 ms with these savings and 25 ms without (12.5 ms on an empty server).
inline constexpr absl::Duration kTenantSavingsMax = absl::Milliseconds(50);

// The most requests that one worker answers together.
inline constexpr int64_t kGroupRequestsMax = 64;

// The most requests that share one pass over a key set.
inline constexpr int64_t kPassRequestsMax = 256;

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_LIMITS_H_
