#ifndef QKSERVE_TOOLS_REPORT_AXIS_H_
#define QKSERVE_TOOLS_REPORT_AXIS_H_

#include <vector>

#include "tools/report/chart.h"

namespace qkserve {

// The places of values on a drawing, and the values that are marked. Thread-compatible.
class Axis {
 public:
  // Values lie between the places `from` and `to` of the drawing.
  Axis(const ChartAxis& axis, double from, double to) : axis_(axis), from_(from), to_(to) {}

  bool is_logarithmic() const { return axis_.logarithmic; }

  bool Shows(double value) const;

  // Makes the axis long enough for `values`, with some room around them. Shows must be true for at
  // least one of the values. A logarithmic axis then has at least two ticks.
  void Fit(const std::vector<double>& values);

  // Lengthens the axis at its two ends, each by a part of its length. A linear axis that must begin
  // at 0 still begins there.
  void Pad(double before, double after);

  // Lengthens a linear axis to the next tick after its end. Ticks are at least `distance` apart.
  void EndAtTick(double distance);

  double At(double value) const;

  // Returns round values that are at least `distance` apart on the drawing.
  std::vector<double> Ticks(double distance) const;

 private:
  std::vector<double> LinearTicks(double distance) const;
  std::vector<double> LogarithmicTicks(double distance) const;
  double LinearStep(double distance) const;

  const ChartAxis& axis_;
  const double from_, to_;
  double low_ = 0, high_ = 1;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_REPORT_AXIS_H_
