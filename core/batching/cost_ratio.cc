#include "core/batching/cost_ratio.h"

#include <algorithm>
#include <cmath>

namespace qkserve {

double CostRatio::Remaining(absl::Time now) const {
  if (now <= last_) return 1.0;
  return std::exp2(-absl::FDivDuration(now - last_, kHalfLife));
}

void CostRatio::Learn(absl::Duration predicted, absl::Duration measured, absl::Time now) {
  const double predicted_seconds = absl::ToDoubleSeconds(predicted);
  if (predicted_seconds <= 0.0) return;
  const double remaining = Remaining(now);
  predicted_seconds_ = predicted_seconds_ * remaining + predicted_seconds;
  measured_seconds_ = measured_seconds_ * remaining + std::clamp(absl::ToDoubleSeconds(measured),
                                                                 kMin * predicted_seconds,
                                                                 kMax * predicted_seconds);
  last_ = std::max(last_, now);
}

double CostRatio::At(absl::Time now) const {
  const double prior = absl::ToDoubleSeconds(kPrior);
  const double remaining = Remaining(now);
  return (measured_seconds_ * remaining + prior) / (predicted_seconds_ * remaining + prior);
}

}  // namespace qkserve
