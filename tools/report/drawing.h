#ifndef QKSERVE_TOOLS_REPORT_DRAWING_H_
#define QKSERVE_TOOLS_REPORT_DRAWING_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "tools/report/axis.h"
#include "tools/report/chart.h"

namespace qkserve {

// The SVG of a chart while it is drawn. It knows the place of the plot, and keeps texts from
// overlapping. Lengths are units of the drawing, which is about as wide as a phone's screen.
// Thread-compatible.
class Drawing {
 public:
  static constexpr double kWidth = 440;
  static constexpr double kHeight = 250;
  static constexpr double kLeft = 66;
  static constexpr double kTop = 14;
  static constexpr double kBottom = kHeight - 44;

  // The least distances between the ticks of a vertical axis. A logarithmic axis has a smaller one,
  // because it has few ticks.
  static constexpr double kTickDistance = 36;
  static constexpr double kLogarithmicTickDistance = 22;

  // The largest size of a text. HtmlPage's style makes texts this large on a phone.
  static constexpr double kTextSize = 14.5;
  static constexpr double kLineHeight = 17;
  static double TextWidth(absl::string_view text);

  // `right` is the right end of the plot.
  explicit Drawing(double right) : right_(right) {}

  double right() const { return right_; }

  // Adds SVG to the drawing.
  void Add(absl::string_view svg);

  // Draw ticks with numbers, the grid and labels. The horizontal axis has ticks where there is
  // room.
  void AddVerticalAxis(const Axis& axis, Unit unit);
  void AddHorizontalAxis(const Axis& axis, Unit unit);
  void AddHorizontalTick(double x, absl::string_view text);
  void AddHorizontalLabel(absl::string_view label);

  // Keeps texts away from a point.
  void KeepClear(double x, double y);

  // Keeps texts off a line to the right or downward.
  void KeepClearOfLine(double from_x, double from_y, double to_x, double to_y);

  struct Place {
    double x;
    double y;  // of the baseline
    const char* anchor;
  };
  // Adds the text at the first place where it is inside the drawing and overlaps nothing. If no
  // place fits, the text is left out. Returns true if the text was added.
  bool AddText(absl::string_view text, absl::string_view css_class,
               const std::vector<Place>& places);

  // Adds the text at the place, even over other things.
  void AddOver(absl::string_view text, absl::string_view css_class, const Place& place);

  // Adds a tip, which is shown when a pointer is between `left` and `right`. The tip is a line at
  // `x` and a box with the texts.
  void AddTip(double left, double right, double x, const std::vector<std::string>& lines);

  // Returns the drawing as a figure with its title. `legend` is HTML.
  std::string Figure(absl::string_view title, absl::string_view legend) const;

 private:
  struct Box {
    double left, top, right, bottom;
  };
  bool IsFree(const Box& box) const;

  const double right_;
  std::vector<Box> boxes_;
  std::string svg_;
  std::string tips_;  // above everything else
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_REPORT_DRAWING_H_
