#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/report/axis.h"
#include "tools/report/chart.h"
#include "tools/report/drawing.h"

namespace qkserve {
namespace {

double ValueOf(const BarChart::Series& series, size_t i) {
  const double value = i < series.values.size() ? series.values[i] : 0;
  return std::isfinite(value) && value > 0 ? value : 0;
}

std::string Legend(const std::vector<BarChart::Series>& series) {
  if (series.size() < 2) return "";
  std::string html = "<p class=\"legend\">";
  for (size_t i = 0; i < series.size(); ++i) {
    absl::StrAppendFormat(&html, "<span><i class=\"bar%d\"></i>%s</span> ", i,
                          EscapeHtml(series[i].name));
  }
  return absl::StrCat(html, "</p>\n");
}

// Adds labels below the classes, or at their edges. Labels without room are left out.
void AddLabels(const BarChart& chart, double pitch, Drawing& drawing) {
  const bool at_edges = !chart.edges.empty();
  double free_from = 0;
  for (size_t i = 0; i < (at_edges ? chart.edges : chart.classes).size(); ++i) {
    const std::string& label = (at_edges ? chart.edges : chart.classes)[i];
    const double x = Drawing::kLeft + pitch * (static_cast<double>(i) + (at_edges ? 0 : 0.5));
    const double half = Drawing::TextWidth(label) / 2;
    if (label.empty() || x - half < free_from) continue;
    drawing.AddHorizontalTick(x, label);
    free_from = x + half + 12;
  }
}

}  // namespace

std::string ChartSvg(const BarChart& chart) {
  std::vector<double> values;
  for (const BarChart::Series& series : chart.series) {
    for (size_t i = 0; i < chart.classes.size(); ++i) values.push_back(ValueOf(series, i));
  }
  if (std::none_of(values.begin(), values.end(), [](double value) { return value > 0; })) return "";
  const ChartAxis axis = {"", chart.unit, false, /*from_zero=*/true};
  Axis y(axis, Drawing::kBottom, Drawing::kTop);
  y.Fit(values);
  y.EndAtTick(Drawing::kTickDistance);
  Drawing drawing(Drawing::kWidth - 14);
  drawing.AddVerticalAxis(y, chart.unit);
  const double pitch =
      (drawing.right() - Drawing::kLeft) / static_cast<double>(chart.classes.size());
  // If the classes have edges, as in a histogram, their bars touch. Other bars stand apart.
  const double gap = chart.edges.empty() ? std::max(0.1 * pitch, (pitch - 60) / 2) : 0.5;
  for (size_t i = 0; i < chart.classes.size(); ++i) {
    const double left = Drawing::kLeft + pitch * static_cast<double>(i);
    std::vector<std::string> tip = {chart.classes[i]};
    for (size_t s = 0; s < chart.series.size(); ++s) {
      const double value = ValueOf(chart.series[s], i);
      tip.push_back(absl::StrCat(chart.series[s].name, " ", UnitText(value, chart.unit)));
      if (value == 0) continue;
      drawing.Add(absl::StrFormat(
          "<rect class=\"bar%d\" x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\"/>\n", s,
          left + gap, y.At(value), pitch - 2 * gap, Drawing::kBottom - y.At(value)));
    }
    drawing.AddTip(left, left + pitch, left + pitch / 2, tip);
  }
  drawing.AddHorizontalLabel(chart.x_label);
  AddLabels(chart, pitch, drawing);
  return drawing.Figure(chart.title, Legend(chart.series));
}

}  // namespace qkserve
