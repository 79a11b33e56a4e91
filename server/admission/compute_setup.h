#ifndef QKSERVE_SERVER_ADMISSION_COMPUTE_SETUP_H_
#define QKSERVE_SERVER_ADMISSION_COMPUTE_SETUP_H_

#include <algorithm>
#include <cstdint>
#include <string>

#include "qkserve/limits.h"

namespace qkserve {

// The code paths and threads that compute, for receipts, status and predicted costs.
struct ComputeSetup {
  std::string kernel = {};  // code path for inline keys
  std::string key_set_kernel = {};
  int64_t workers = 0;
  int64_t slots = 0;  // see ComputeSlots
  double gflops_per_worker = 1.0;
};

// A slot lets one tile, or one group of small requests, run at a time.

// The bytes of a slot: the scratch of a tile (TileScratch, usually 1 to 4 MB) and the pages that
// OpenBLAS touches in a call.
inline constexpr int64_t kComputeSlotBytes = 6 * kMiB;

// The number of slots that are not charged, because their memory is in the 0.1 GB that
// docs/operations.md counts beside bytes in flight.
inline constexpr int64_t kComputeSlotsFree = 8;

// Returns the number of slots. More slots than CPUs would not make tiles end sooner, but would hold
// more memory. If there are many CPUs, the slots' memory is taken from in_flight_bytes_max, at most
// half of it.
inline int64_t ComputeSlots(int64_t workers, int64_t cpus, int64_t in_flight_bytes_max) {
  return std::min({workers, cpus, kComputeSlotsFree + in_flight_bytes_max / 2 / kComputeSlotBytes});
}

// Returns the bytes of in_flight_bytes_max that are charged for `slots`.
inline int64_t ComputeSlotsCharge(int64_t slots) {
  return std::max(slots - kComputeSlotsFree, int64_t{0}) * kComputeSlotBytes;
}

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ADMISSION_COMPUTE_SETUP_H_
