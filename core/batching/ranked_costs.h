#ifndef QKSERVE_CORE_BATCHING_RANKED_COSTS_H_
#define QKSERVE_CORE_BATCHING_RANKED_COSTS_H_

#include <cstdint>
#include <map>

#include "absl/time/time.h"

namespace qkserve {

// The costs of waiting work. Ranks are cut into steps of kStep, and each step has the sum of its
// costs. So the work ahead of a rank is known without a look at every job.
//
// Thread-compatible.
class RankedCosts {
 public:
  // Two ranks in one step count as equal. A queue of 5 s has about 500 steps at most.
  static constexpr absl::Duration kStep = absl::Milliseconds(10);

  // Adds work, or removes it if `cost` is negative. Work must be removed at the rank at which it
  // was added.
  void Add(absl::Time rank, absl::Duration cost) {
    total_ += cost;
    const auto step = steps_.try_emplace(StepOf(rank)).first;
    step->second += cost;
    if (step->second == absl::ZeroDuration()) steps_.erase(step);
  }

  absl::Duration total() const { return total_; }

  // Returns the cost of all work in the step of `rank` and in earlier steps.
  absl::Duration UpTo(absl::Time rank) const {
    absl::Duration cost = total_;
    const int64_t last = StepOf(rank);
    for (auto step = steps_.rbegin(); step != steps_.rend() && step->first > last; ++step) {
      cost -= step->second;
    }
    return cost;
  }

 private:
  static int64_t StepOf(absl::Time rank) {
    return absl::ToUnixMillis(rank) / absl::ToInt64Milliseconds(kStep);
  }

  std::map<int64_t, absl::Duration> steps_;  // no cost is 0
  absl::Duration total_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_RANKED_COSTS_H_
