#include "server/observe/load_history.h"

#include <algorithm>

namespace qkserve {
namespace {

template <size_t N>
void Subtract(const std::array<int64_t, N>& part, std::array<int64_t, N>& from) {
  for (size_t i = 0; i < N; ++i) from[i] -= part[i];
}

LoadCounts Difference(LoadCounts now, const LoadCounts& before) {
  now.answered -= before.answered;
  Subtract(before.errors, now.errors);
  Subtract(before.latency.counts, now.latency.counts);
  now.latency.sum -= before.latency.sum;
  now.batches -= before.batches;
  now.batch_requests -= before.batch_requests;
  now.batch_rows -= before.batch_rows;
  now.cpu_seconds -= before.cpu_seconds;
  return now;
}

}  // namespace

// std::deque allocates blocks of 512 bytes. If a sample fits into a block, 600 samples take at most
// 307 KB, and the class promises 320 KB.
static_assert(sizeof(LoadSample) <= 512);

void LoadHistory::Add(const LoadCounts& counts, const std::optional<LoadState>& state,
                      int64_t resident_bytes) {
  const absl::Time now = clock_.Now();
  if (now <= at_) return;
  samples_.push_back({.at = now,
                      .interval = now - at_,
                      .counts = Difference(counts, counts_),
                      .state = state,
                      .resident_bytes = resident_bytes});
  if (samples_.size() > kSamplesMax) samples_.pop_front();
  counts_ = counts;
  at_ = now;
  ++next_number_;
}

size_t LoadHistory::CountUpTo(int64_t number) const {
  if (number >= next_number_) return 0;
  return static_cast<size_t>(std::max(number - first_number() + 1, int64_t{0}));
}

}  // namespace qkserve
