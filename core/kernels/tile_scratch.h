#ifndef QKSERVE_CORE_KERNELS_TILE_SCRATCH_H_
#define QKSERVE_CORE_KERNELS_TILE_SCRATCH_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "qkserve/buffer.h"

namespace qkserve {

// A seat is the right to compute a tile, and the memory for it: converted operands, scores of a
// step, the state of a block.
//
// There are as many seats as calls of OpenBLAS may run at a time (BlasCallsMax). A thread takes a
// seat with its first TileScratch and gives it back with the last. If all seats are taken, it waits
// until another thread's tile ends. It never waits while it has a seat. So memory and calls of
// OpenBLAS are bounded by the number of CPUs, whatever the number of threads, and the memory stays
// warm.
//
// A seat keeps at most kSeatLevels blocks of kKeptBytesMax. Larger blocks are freed with their
// scope.

// A tile needs at most about 25 MB, because the constants of tiles (limits.h) bound converted
// operands and scores. It usually needs 1 to 4 MB.
inline constexpr int kSeatLevels = 3;
inline constexpr int64_t kKeptBytesMax = int64_t{8} << 20;

// Holds a seat for the length of a scope, and a block of memory if Get is called. It must be a
// local variable, never thread_local. Objects of a thread end in the opposite order of their Get.
class TileScratch {
 public:
  // Takes a seat. Blocks while all seats are taken, unless this thread has one already.
  TileScratch();
  ~TileScratch();
  TileScratch(const TileScratch&) = delete;
  TileScratch& operator=(const TileScratch&) = delete;

  // Uninitialised memory for `floats` floats. It lives as long as this object. Called at most once.
  // RESOURCE_EXHAUSTED: there is no memory.
  absl::StatusOr<float*> Get(int64_t floats);

 private:
  bool has_level_ = false;
  Buffer large_;
};

// Bytes kept by seats that no thread has. For tests. Called from any thread.
int64_t KeptScratchBytes();

// Frees what those seats keep, when the process has become idle. Called from any thread.
void FreeKeptScratch();

}  // namespace qkserve

#endif  // QKSERVE_CORE_KERNELS_TILE_SCRATCH_H_
