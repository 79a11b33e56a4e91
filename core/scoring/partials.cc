#include "core/scoring/partials.h"

#include <utility>

namespace qkserve {

absl::StatusOr<Partials::Shared> Partials::Share(int64_t block, int64_t parts, int64_t bytes,
                                                 int64_t seldom_bytes) {
  MutexLock lock(&mutex_);
  const auto [entry, is_new] = blocks_.try_emplace(block);
  BlockState& state = entry->second;
  if (is_new) {
    absl::StatusOr<Buffer> memory = Buffer::Allocate(static_cast<size_t>(bytes));
    absl::StatusOr<Buffer> seldom = Buffer::AllocateOnDemand(static_cast<size_t>(seldom_bytes));
    if (!memory.ok() || !seldom.ok()) {
      blocks_.erase(entry);
      return memory.ok() ? seldom.status() : memory.status();
    }
    state.shared = *std::move(memory);
    state.seldom = *std::move(seldom);
    state.parts_left = parts;
  }
  return Shared{state.shared.data(), state.seldom.data()};
}

bool Partials::HandOver(int64_t block, Buffer& found,
                        absl::FunctionRef<void(std::byte* other)> merge) {
  while (true) {
    Buffer other;
    {
      MutexLock lock(&mutex_);
      BlockState& state = blocks_.find(block)->second;
      if (!state.has_left) {
        if (--state.parts_left == 0) return true;
        state.has_left = found.size_bytes() > 0;
        state.left = std::move(found);
        return false;
      }
      other = std::move(state.left);
      state.has_left = false;
    }
    merge(other.data());
  }
}

void Partials::Remove(int64_t block) {
  // Its memory is given back without the lock.
  std::map<int64_t, BlockState>::node_type done;
  MutexLock lock(&mutex_);
  done = blocks_.extract(block);
}

}  // namespace qkserve
