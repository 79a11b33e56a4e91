#ifndef QKSERVE_TOOLS_REPORT_CHART_H_
#define QKSERVE_TOOLS_REPORT_CHART_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace qkserve {

// Charts as SVG for an HtmlPage, whose style sheet colours them. Text is escaped. Values that are
// not finite, or not positive on a logarithmic axis, are left out. Under a pointer or finger a
// chart shows the values at that place. Series differ by colour and by dashes, markers or filling.

// The unit of an axis; NumberText and UnitText say how its values look.
enum class Unit { kNone, kMilliseconds, kSeconds, kPercent, kPerSecond, kTimes };

struct ChartAxis {
  std::string label;
  Unit unit = Unit::kNone;
  bool logarithmic = false;
  bool from_zero = false;  // for a linear axis
};

// A line across the chart, at a value of an axis.
struct ChartMark {
  double value = 0;
  std::string label;
  bool is_good = false;  // drawn solid and green, not dashed and red
};

// Lines through points, in order.
struct LineChart {
  struct Series {
    std::string name;
    std::vector<std::pair<double, double>> points;
  };

  std::string title;
  ChartAxis x, y;
  std::vector<Series> series;  // at most six; those that coincide are drawn as one

  std::vector<ChartMark> levels = {};          // across, at values of y
  std::vector<ChartMark> places = {};          // upward, at values of x
  std::vector<std::string> point_labels = {};  // for the points of the first series, or none

  // True if all series belong together. Their lines then have one colour and differ only by dashes
  // and markers.
  bool is_one_color = false;
};

// Bars over classes, for distributions. The bars of a second series are drawn around those of the
// first.
struct BarChart {
  struct Series {
    std::string name;
    std::vector<double> values;  // one for each class
  };

  std::string title;
  std::string x_label;
  Unit unit = Unit::kNone;  // of the values
  std::vector<std::string> classes;
  std::vector<Series> series;  // at most two

  // Labels at the start of each class, and one at the end of the last class. "" means no label. If
  // there are no edges, the names of the classes stand below their bars.
  std::vector<std::string> edges = {};
};

// Returns the chart with its title, or "" if it has no point or bar to show.
std::string ChartSvg(const LineChart& chart);
std::string ChartSvg(const BarChart& chart);

// Returns `text` escaped for HTML and SVG, for elements and attributes.
std::string EscapeHtml(absl::string_view text);

// Returns a number for people: "0.25", "12.5k", "3.2M". Returns "-" if it is not finite.
std::string NumberText(double value);

// Returns the number with its unit: "250 µs", "1.5 s", "12.5k/s", "20%", "2.5×".
std::string UnitText(double value, Unit unit);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_REPORT_CHART_H_
