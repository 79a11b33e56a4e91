#ifndef QKSERVE_SERVER_ADMISSION_COMPUTE_TURNS_H_
#define QKSERVE_SERVER_ADMISSION_COMPUTE_TURNS_H_

#include <algorithm>
#include <cstdint>

#include "qkserve/limits.h"

namespace qkserve {

// How many tiles run at a time, and the memory that they take while they do.

// Scratch of a tile (TileScratch, usually 1 to 4 MB) and the pages that OpenBLAS touches in a call.
inline constexpr int64_t kComputeTurnBytes = 6 * kMiB;

// Turns whose memory is within the 0.1 GB that docs/operations.md reckons beside bytes in flight.
inline constexpr int64_t kComputeTurnsFree = 8;

// More tiles at a time than CPUs end no sooner, and hold more memory meanwhile. With many CPUs
// their memory is taken from in_flight_bytes_max, at most half of it.
inline int64_t ComputeTurns(int64_t workers, int64_t cpus, int64_t in_flight_bytes_max) {
  return std::min({workers, cpus, kComputeTurnsFree + in_flight_bytes_max / 2 / kComputeTurnBytes});
}

// The part of in_flight_bytes_max that is charged for them.
inline int64_t ComputeTurnsCharge(int64_t turns) {
  return std::max(turns - kComputeTurnsFree, int64_t{0}) * kComputeTurnBytes;
}

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ADMISSION_COMPUTE_TURNS_H_
