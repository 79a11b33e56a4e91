#ifndef QKSERVE_CORE_BATCHING_COST_RATIO_H_
#define QKSERVE_CORE_BATCHING_COST_RATIO_H_

#include "absl/time/time.h"

namespace qkserve {

// How many times as long as predicted one kind of work takes on this machine now.
//
// Predictions use a rate that was measured at start on an idle machine. Other processes, memory
// traffic and the wire make real work slower; the ratio of what was measured lately to what was
// predicted for it corrects them. The sums that were learned halve every kHalfLife, so a machine
// that has become quiet is trusted again.
//
// A ratio of sums: many short pieces and one long one count alike, and one piece that was
// interrupted does not outweigh the others.
//
// Time comes from the caller, in any order. Thread-compatible.
class CostRatio {
 public:
  // Long enough to average over dozens of tiles, short enough to follow a change of load.
  static constexpr absl::Duration kHalfLife = absl::Seconds(1);

  // The predictions themselves count as this much work that took as long as predicted: little
  // beside what a busy worker does in a half-life.
  static constexpr absl::Duration kPrior = absl::Milliseconds(20);

  // Beyond these a measurement says more about a pause of the machine than about the work. 64
  // allows for dozens of workers on one CPU.
  static constexpr double kMin = 0.25;
  static constexpr double kMax = 64.0;

  // Work that was predicted to take `predicted` took `measured`, until `now`.
  void Learn(absl::Duration predicted, absl::Duration measured, absl::Time now);

  // Within [kMin, kMax]; 1 where nothing was learned.
  double At(absl::Time now) const;

 private:
  // Factor by which the sums learned until last_ have decayed at `now`.
  double Remaining(absl::Time now) const;

  double predicted_seconds_ = 0.0;
  double measured_seconds_ = 0.0;
  absl::Time last_ = absl::InfinitePast();
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_COST_RATIO_H_
