#ifndef QKSERVE_CORE_SCORING_PARTIALS_H_
#define QKSERVE_CORE_SCORING_PARTIALS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "qkserve/buffer.h"

namespace qkserve {

// What the tiles of one block of rows know when each has seen a part of the keys: the last of them
// merges it. Thread-safe as used: each tile writes its own slot, then calls IsLast.
class PartialRows {
 public:
  // `slot_bytes` for each of `splits` tiles of `blocks` blocks of rows. RESOURCE_EXHAUSTED: there
  // is no memory.
  static absl::StatusOr<std::unique_ptr<PartialRows>> Allocate(int64_t blocks, int64_t splits,
                                                               int64_t slot_bytes);

  std::byte* Slot(int64_t block, int64_t split) {
    return slots_.data() + (block * splits_ + split) * slot_bytes_;
  }

  // The caller's tile of `block` has filled its slot. True for the last one, which then sees all.
  bool IsLast(int64_t block) {
    return left_[static_cast<size_t>(block)].fetch_sub(1, std::memory_order_acq_rel) == 1;
  }

 private:
  PartialRows(int64_t blocks, int64_t splits, int64_t slot_bytes, Buffer slots);

  const int64_t splits_;
  const int64_t slot_bytes_;
  Buffer slots_;
  // Tiles of each block that have not filled their slots.
  const std::unique_ptr<std::atomic<int64_t>[]> left_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_PARTIALS_H_
