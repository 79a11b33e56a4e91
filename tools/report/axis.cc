#include "tools/report/axis.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/round_step.h"

namespace qkserve {

bool Axis::Shows(double value) const {
  return std::isfinite(value) && (!axis_.logarithmic || value > 0);
}

void Axis::Fit(const std::vector<double>& values) {
  low_ = std::numeric_limits<double>::infinity();
  high_ = -low_;
  for (const double value : values) {
    if (!Shows(value)) continue;
    low_ = std::min(low_, value);
    high_ = std::max(high_, value);
  }
  if (axis_.logarithmic) {
    // Widens the axis until it has at least two ticks. Ticks are 1, 2 and 5 times powers of ten.
    constexpr double kRatioMin = 5;
    const double widen = std::max(1.0, std::sqrt(kRatioMin * low_ / high_));
    low_ /= widen;
    high_ *= widen;
  } else {
    if (axis_.from_zero) low_ = std::min(low_, 0.0);
    if (high_ - low_ <= 0) high_ = low_ + std::max(1.0, std::abs(low_));
  }
  constexpr double kRoom = 0.04;
  Pad(kRoom, kRoom);
}

void Axis::Pad(double before, double after) {
  if (axis_.logarithmic) {
    const double ratio = high_ / low_;
    low_ /= std::pow(ratio, before);
    high_ *= std::pow(ratio, after);
    return;
  }
  const double length = high_ - low_;
  if (!axis_.from_zero || low_ < 0) low_ -= before * length;
  high_ += after * length;
}

void Axis::EndAtTick(double distance) {
  if (axis_.logarithmic) return;
  const double step = LinearStep(distance);
  high_ = std::ceil(high_ / step * (1 - 1e-9)) * step;
}

double Axis::At(double value) const {
  const double part = axis_.logarithmic ? std::log(value / low_) / std::log(high_ / low_)
                                        : (value - low_) / (high_ - low_);
  return from_ + part * (to_ - from_);
}

std::vector<double> Axis::Ticks(double distance) const {
  return axis_.logarithmic ? LogarithmicTicks(distance) : LinearTicks(distance);
}

double Axis::LinearStep(double distance) const {
  return RoundStep((high_ - low_) * distance / std::abs(to_ - from_));
}

std::vector<double> Axis::LinearTicks(double distance) const {
  const double step = LinearStep(distance);
  std::vector<double> ticks;
  const double last = std::floor(high_ / step * (1 + 1e-9));
  // Each tick is a multiple of the step, because a sum of steps would have rounding errors.
  for (double i = std::ceil(low_ / step); i <= last; ++i) ticks.push_back(i * step);
  return ticks;
}

// Returns powers of ten, as many as there is room for. If there is more room, adds 2 and 5 times
// each power.
std::vector<double> Axis::LogarithmicTicks(double distance) const {
  const double decade = std::abs(to_ - from_) / std::log10(high_ / low_);
  const bool has_room = decade * std::log10(2) >= distance;
  const int every = std::max(1, static_cast<int>(std::ceil(distance / decade)));
  std::vector<double> ticks;
  const auto first = static_cast<int>(std::floor(std::log10(low_)));
  const auto last = static_cast<int>(std::floor(std::log10(high_)));
  for (int exponent = first; exponent <= last; ++exponent) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      if (!has_room && (factor > 1 || exponent % every != 0)) continue;
      const double tick = std::pow(10, exponent) * factor;
      if (tick >= low_ * 0.999 && tick <= high_ * 1.001) ticks.push_back(tick);
    }
  }
  return ticks;
}

}  // namespace qkserve
