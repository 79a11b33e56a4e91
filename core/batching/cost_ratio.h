#ifndef QKSERVE_CORE_BATCHING_COST_RATIO_H_
#define QKSERVE_CORE_BATCHING_COST_RATIO_H_

#include "absl/time/time.h"

namespace qkserve {

// The ratio of the time that one kind of work takes on this machine now to the time predicted for
// it.
//
// Predictions use a rate that was measured at start on an idle machine. Other processes, memory
// traffic and the wire make real work slower. The ratio of recently measured to predicted time
// corrects the predictions. What was learned counts half as much after every kHalfLife, so a
// machine that has become quiet is trusted again.
//
// It is a ratio of sums. Many short pieces count as much as one long piece, and a piece that was
// interrupted does not outweigh the others.
//
// Time comes from the caller, in any order. Thread-compatible.
class CostRatio {
 public:
  // Long enough to average over dozens of tiles, short enough to follow a change of load.
  static constexpr absl::Duration kHalfLife = absl::Seconds(1);

  // The ratio begins as if this much work had taken exactly as long as predicted. It is little
  // beside what a busy worker does in a half-life.
  static constexpr absl::Duration kPrior = absl::Milliseconds(20);

  // Bounds of the ratio. Beyond them a measurement says more about a pause of the machine than
  // about the work. 64 allows for dozens of workers on one CPU.
  static constexpr double kMin = 0.25;
  static constexpr double kMax = 64.0;

  // Learns that work predicted to take `predicted` took `measured` and ended `now`.
  void Learn(absl::Duration predicted, absl::Duration measured, absl::Time now);

  // The ratio at `now`, within [kMin, kMax]. 1 if nothing was learned.
  double At(absl::Time now) const;

 private:
  // The factor by which the sums of last_ have decayed at `now`.
  double Remaining(absl::Time now) const;

  double predicted_seconds_ = 0.0;
  double measured_seconds_ = 0.0;
  absl::Time last_ = absl::InfinitePast();
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_COST_RATIO_H_
