#include "core/scoring/partials.h"

#include <utility>

namespace qkserve {

absl::StatusOr<std::unique_ptr<PartialRows>> PartialRows::Allocate(int64_t blocks, int64_t splits,
                                                                   int64_t slot_bytes) {
  absl::StatusOr<Buffer> slots =
      Buffer::Allocate(static_cast<size_t>(blocks * splits * slot_bytes));
  if (!slots.ok()) return slots.status();
  return std::unique_ptr<PartialRows>(
      new PartialRows(blocks, splits, slot_bytes, *std::move(slots)));
}

PartialRows::PartialRows(int64_t blocks, int64_t splits, int64_t slot_bytes, Buffer slots)
    : splits_(splits),
      slot_bytes_(slot_bytes),
      slots_(std::move(slots)),
      left_(std::make_unique<std::atomic<int64_t>[]>(static_cast<size_t>(blocks))) {
  for (int64_t block = 0; block < blocks; ++block) left_[static_cast<size_t>(block)] = splits;
}

}  // namespace qkserve
