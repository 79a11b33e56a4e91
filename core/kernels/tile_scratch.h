#ifndef QKSERVE_CORE_KERNELS_TILE_SCRATCH_H_
#define QKSERVE_CORE_KERNELS_TILE_SCRATCH_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "qkserve/buffer.h"

namespace qkserve {

// The right to compute a tile, and the memory that it needs meanwhile: converted operands, scores
// of a step, the state of a block.
//
// There are as many seats as calls of OpenBLAS may run at a time (BlasCallsMax). A thread takes a
// seat with its first TileScratch and gives it back with the last. If all seats are taken, it waits
// until another thread's tile ends. It never waits while it has a seat. So the memory, and the
// calls of OpenBLAS, are bounded by the CPUs, whatever the number of threads, and the memory stays
// warm.
//
// A seat keeps at most kSeatLevels blocks of kKeptBytesMax; larger ones are freed with their scope.

// About 25 MB of converted operands and scores at most: their sizes are bounded by the constants of
// tiles (limits.h), and what is usual takes 1 to 4 MB.
inline constexpr int kSeatLevels = 3;
inline constexpr int64_t kKeptBytesMax = int64_t{8} << 20;

// Holds a seat for the length of a scope, and a block of memory if Get is called. It must be a
// local variable, never thread_local. Those of a thread end in the opposite order of their Get.
class TileScratch {
 public:
  // Takes a seat. Blocks while all seats are taken, unless this thread has one already.
  TileScratch();
  ~TileScratch();
  TileScratch(const TileScratch&) = delete;
  TileScratch& operator=(const TileScratch&) = delete;

  // Memory of `floats` floats, uninitialised, which lives as long as this object. Called at most
  // once. RESOURCE_EXHAUSTED: there is no memory.
  absl::StatusOr<float*> Get(int64_t floats);

 private:
  bool has_level_ = false;
  Buffer large_;
};

// Bytes kept by seats that are free now. For tests. Any thread.
int64_t KeptScratchBytes();

// Frees what the free seats keep, for a process that has become idle. Any thread.
void FreeKeptScratch();

}  // namespace qkserve

#endif  // QKSERVE_CORE_KERNELS_TILE_SCRATCH_H_
