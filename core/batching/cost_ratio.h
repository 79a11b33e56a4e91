#ifndef QKSERVE_CORE_BATCHING_COST_RATIO_H_
#define QKSERVE_CORE_BATCHING_COST_RATIO_H_

#include "absl/time/time.h"

namespace qkserve {

// The ratio of measured to predicted time for one kind of work on this machine now.
//
// Predictions use a rate that was measured at start on an idle machine. Other processes, memory
// traffic and the wire make real work slower. The ratio of recently measured to predicted time
// corrects the predictions. A measurement counts half as much after every kHalfLife, so a machine
// that has become quiet is trusted again.
//
// The ratio is a sum of measured times, divided by a sum of predicted times. So many short pieces
// count as much as one long piece, and a piece that was interrupted does not outweigh the others.
//
// Callers pass the time. Times may come in any order. Thread-compatible.
class CostRatio {
 public:
  // The half-life is long enough to average over dozens of tiles, and short enough to follow a
  // change of load.
  static constexpr absl::Duration kHalfLife = absl::Seconds(1);

  // The ratio begins as if this much work had taken exactly as long as predicted. This is little,
  // compared with what a busy worker does in a half-life.
  static constexpr absl::Duration kPrior = absl::Milliseconds(20);

  // Bounds of the ratio. Beyond them a measurement says more about a pause of the machine than
  // about the work. 64 allows for dozens of workers on one CPU.
  static constexpr double kMin = 0.25;
  static constexpr double kMax = 64.0;

  // Learns that work ended at `now`, took `measured`, and was predicted to take `predicted`.
  void Learn(absl::Duration predicted, absl::Duration measured, absl::Time now);

  // Returns the ratio at `now`, within [kMin, kMax]. It is 1 if nothing was learned.
  double At(absl::Time now) const;

 private:
  // Returns the factor by which the sums have decayed from last_ to `now`.
  double Remaining(absl::Time now) const;

  double predicted_seconds_ = 0.0;
  double measured_seconds_ = 0.0;
  absl::Time last_ = absl::InfinitePast();
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_COST_RATIO_H_
