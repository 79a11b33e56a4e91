#include "core/attention/partial_rows.h"

#include <utility>

namespace qkserve {

absl::StatusOr<std::unique_ptr<PartialRows>> PartialRows::Allocate(int64_t blocks, int64_t splits,
                                                                   int64_t slot_bytes,
                                                                   int64_t seldom_bytes) {
  absl::StatusOr<Buffer> slots =
      Buffer::Allocate(static_cast<size_t>(blocks * splits * slot_bytes));
  if (!slots.ok()) return slots.status();
  absl::StatusOr<Buffer> seldom =
      Buffer::AllocateOnDemand(static_cast<size_t>(blocks * splits * seldom_bytes));
  if (!seldom.ok()) return seldom.status();
  std::unique_ptr<PartialRows> partials(new PartialRows(blocks, splits));
  partials->slot_bytes_ = slot_bytes;
  partials->seldom_bytes_ = seldom_bytes;
  partials->slots_ = *std::move(slots);
  partials->seldom_ = *std::move(seldom);
  return partials;
}

PartialRows::PartialRows(int64_t blocks, int64_t splits)
    : splits_(splits),
      left_(std::make_unique<std::atomic<int64_t>[]>(static_cast<size_t>(blocks))) {
  for (int64_t block = 0; block < blocks; ++block) left_[static_cast<size_t>(block)] = splits;
}

}  // namespace qkserve
