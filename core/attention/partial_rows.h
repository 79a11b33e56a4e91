#ifndef QKSERVE_CORE_ATTENTION_PARTIAL_ROWS_H_
#define QKSERVE_CORE_ATTENTION_PARTIAL_ROWS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "core/buffer.h"

namespace qkserve {

// What the tiles of one block of rows know when each has seen a part of the keys: the last of them
// merges it. Thread-safe as used: each tile writes its own slot, then calls IsLast.
class PartialRows {
 public:
  // `slot_bytes` for each of `splits` tiles of `blocks` blocks of rows, and `seldom_bytes` that are
  // seldom written and take memory only then. RESOURCE_EXHAUSTED: there is no memory.
  static absl::StatusOr<std::unique_ptr<PartialRows>> Allocate(int64_t blocks, int64_t splits,
                                                               int64_t slot_bytes,
                                                               int64_t seldom_bytes);

  std::byte* Slot(int64_t block, int64_t split) {
    return slots_.data() + (block * splits_ + split) * slot_bytes_;
  }
  std::byte* SeldomSlot(int64_t block, int64_t split) {
    return seldom_.data() + (block * splits_ + split) * seldom_bytes_;
  }

  // The caller's tile of `block` has filled its slot. True for the last one, which then sees all.
  bool IsLast(int64_t block) {
    return left_[static_cast<size_t>(block)].fetch_sub(1, std::memory_order_acq_rel) == 1;
  }

 private:
  PartialRows(int64_t blocks, int64_t splits);

  const int64_t splits_;
  int64_t slot_bytes_ = 0;
  int64_t seldom_bytes_ = 0;
  Buffer slots_, seldom_;
  // Tiles of each block that have not filled their slots.
  const std::unique_ptr<std::atomic<int64_t>[]> left_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_ATTENTION_PARTIAL_ROWS_H_
