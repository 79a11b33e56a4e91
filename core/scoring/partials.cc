#include "core/scoring/partials.h"

#include <utility>

#include "base/status_macros.h"

namespace qkserve {

absl::StatusOr<std::shared_ptr<Partials::Shared>> Partials::Share(int64_t block, int64_t parts,
                                                                  int64_t bytes,
                                                                  int64_t seldom_bytes) {
  MutexLock lock(&mutex_);
  const auto found = blocks_.find(block);
  if (found != blocks_.end()) return found->second.shared;
  auto shared = std::make_shared<Shared>();
  ASSIGN_OR_RETURN(shared->state, Buffer::Allocate(static_cast<size_t>(bytes)));
  ASSIGN_OR_RETURN(shared->seldom, Buffer::AllocateOnDemand(static_cast<size_t>(seldom_bytes)));
  BlockState& state = blocks_[block];
  state.shared = std::move(shared);
  state.parts_left = parts;
  return state.shared;
}

bool Partials::HandOver(int64_t block, Buffer& found,
                        absl::FunctionRef<void(std::byte* other)> merge) {
  while (true) {
    Buffer other;
    {
      MutexLock lock(&mutex_);
      const auto state = blocks_.find(block);
      auto& [shared, left, parts_left] = state->second;
      if (left.size_bytes() == 0) {
        const bool is_last = --parts_left == 0;
        if (is_last) {
          blocks_.erase(state);
        } else {
          left = std::move(found);
        }
        return is_last;
      }
      other = std::move(left);
    }
    merge(other.data());
  }
}

}  // namespace qkserve
