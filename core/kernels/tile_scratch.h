#ifndef QKSERVE_CORE_KERNELS_TILE_SCRATCH_H_
#define QKSERVE_CORE_KERNELS_TILE_SCRATCH_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "qkserve/buffer.h"

namespace qkserve {

// A seat is the right to compute a tile, and the memory that the tile needs: converted operands,
// scores of a step, the state of a block.
//
// There are BlasCallsMax() seats. A thread takes a seat when it makes its first TileScratch, and
// returns the seat when its last TileScratch is destroyed. If all seats are taken, the thread waits
// until another thread's tile ends. A thread that has a seat never waits for a second one. So the
// number of CPUs, not of threads, bounds the memory and the calls of OpenBLAS that run at a time,
// and the memory stays warm.
//
// A seat keeps at most kSeatLevels blocks of at most kKeptBytesMax bytes each. Other blocks are
// freed with their TileScratch.

// A tile needs at most about 25 MB, because the constants of tiles (limits.h) bound converted
// operands and scores. It usually needs 1 to 4 MB.
inline constexpr int kSeatLevels = 3;
inline constexpr int64_t kKeptBytesMax = int64_t{8} << 20;

// Holds a seat until the end of a scope, and a block of memory if Get is called. A TileScratch must
// be a local variable, never thread_local. A thread's objects must be destroyed in the reverse
// order of their calls of Get.
class TileScratch {
 public:
  // Takes a seat, unless this thread has one already. Blocks while all seats are taken.
  TileScratch();
  ~TileScratch();
  TileScratch(const TileScratch&) = delete;
  TileScratch& operator=(const TileScratch&) = delete;

  // Returns uninitialised memory for `floats` floats. The memory lives as long as this object.
  // Called at most once. RESOURCE_EXHAUSTED: there is no memory.
  absl::StatusOr<float*> Get(int64_t floats);

 private:
  bool has_level_ = false;
  Buffer large_;
};

// Returns the bytes that the free seats keep. For tests. May be called from any thread.
int64_t KeptScratchBytes();

// Frees the memory that the free seats keep. Called when the process has become idle. May be called
// from any thread.
void FreeKeptScratch();

}  // namespace qkserve

#endif  // QKSERVE_CORE_KERNELS_TILE_SCRATCH_H_
