#ifndef QKSERVE_LIMITS_H_
#define QKSERVE_LIMITS_H_

#include <cstdint>

// Limits that clients see. The other limits are in limits.h of the folder that needs them.

namespace qkserve {

inline constexpr int64_t kKiB = int64_t{1} << 10;
inline constexpr int64_t kMiB = int64_t{1} << 20;
inline constexpr int64_t kGiB = int64_t{1} << 30;

// The largest message in either direction (--message_bytes_max). gRPC keeps a message's size in an
// int.
inline constexpr int64_t kMessageBytesMax = 256 * kMiB;

// The most key sets that a server may have.
inline constexpr int64_t kKeySetsMax = 100'000;

}  // namespace qkserve

#endif  // QKSERVE_LIMITS_H_
