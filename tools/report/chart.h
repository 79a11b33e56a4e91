#ifndef QKSERVE_TOOLS_REPORT_CHART_H_
#define QKSERVE_TOOLS_REPORT_CHART_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace qkserve {

// Charts as SVG, for an HtmlPage, whose style sheet colours them. Text is escaped. Values that are
// not finite, or not positive on a logarithmic axis, are left out.

struct ChartAxis {
  std::string label;
  bool logarithmic = false;
};

// Lines through points, in order.
struct LineChart {
  struct Series {
    std::string name;
    std::vector<std::pair<double, double>> points;
  };

  std::string title;
  ChartAxis x, y;
  std::vector<Series> series;  // at most six
};

// Bars over classes, those of several series side by side.
struct BarChart {
  struct Series {
    std::string name;
    std::vector<double> values;  // one for each class
  };

  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<std::string> classes;
  std::vector<Series> series;  // at most six
};

// The chart with title and legend; "" if it has no point or bar to show.
std::string ChartSvg(const LineChart& chart);
std::string ChartSvg(const BarChart& chart);

// `text` for HTML and SVG, in elements and in attributes.
std::string EscapeHtml(absl::string_view text);

// A number for people: "0.25", "12.5k", "3.2M".
std::string NumberText(double value);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_REPORT_CHART_H_
