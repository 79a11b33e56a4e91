#ifndef QKSERVE_TESTS_TOOLS_REPORT_SVG_READER_H_
#define QKSERVE_TESTS_TOOLS_REPORT_SVG_READER_H_

#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "tools/report/drawing.h"

namespace qkserve {

// A text of a chart, and the place that it takes.
struct SvgText {
  std::string css_class;
  std::string text;
  double left = 0, top = 0, right = 0, bottom = 0;
};

// A chart as it looks without a pointer over it.
struct SvgChart {
  std::string svg;  // without what a pointer shows
  std::vector<SvgText> texts;
  std::vector<std::pair<double, double>> markers;  // centres
  std::vector<double> levels, places;              // of marks: y across the chart, x upward

  std::vector<std::string> TextsOf(absl::string_view css_class) const {
    std::vector<std::string> found;
    for (const SvgText& text : texts) {
      if (absl::StartsWith(text.css_class, css_class)) found.push_back(text.text);
    }
    return found;
  }
};

inline std::string Attribute(absl::string_view element, absl::string_view name) {
  const std::string begin = absl::StrCat(" ", name, "=\"");
  const size_t at = element.find(begin);
  if (at == absl::string_view::npos) return "";
  element.remove_prefix(at + begin.size());
  return std::string(element.substr(0, element.find('"')));
}

inline double NumberOf(absl::string_view element, absl::string_view name) {
  return std::strtod(Attribute(element, name).c_str(), nullptr);
}

// Reads the charts of a page.
inline std::vector<SvgChart> ReadCharts(absl::string_view page) {
  std::vector<SvgChart> charts;
  const std::vector<absl::string_view> parts = absl::StrSplit(page, "<svg ");
  for (size_t i = 1; i < parts.size(); ++i) {
    absl::string_view svg = parts[i].substr(0, parts[i].find("</svg>"));
    svg = svg.substr(0, svg.find("<g class=\"at\">"));
    SvgChart& chart = charts.emplace_back();
    chart.svg = std::string(svg);
    for (const absl::string_view element : absl::StrSplit(svg, '<')) {
      const std::string css_class = Attribute(element, "class");
      if (absl::StartsWith(element, "text ")) {
        SvgText text = {css_class, std::string(element.substr(element.find('>') + 1))};
        const double width = Drawing::TextWidth(text.text);
        const std::string anchor = Attribute(element, "text-anchor");
        text.left = NumberOf(element, "x") - (anchor == "end"      ? width
                                              : anchor == "middle" ? width / 2
                                                                   : 0);
        text.right = text.left + width;
        text.top = NumberOf(element, "y") - 11;
        text.bottom = text.top + 13;
        chart.texts.push_back(text);
      } else if (absl::StartsWith(css_class, "mark")) {
        const std::string path = Attribute(element, "d");
        char* end = nullptr;
        const double x = std::strtod(path.c_str() + 1, &end);
        const double y = std::strtod(end, &end);
        if (absl::StartsWith(css_class, "marker")) {
          chart.markers.emplace_back(x, y);
        } else if (*end == 'H') {
          chart.levels.push_back(y);
        } else {
          chart.places.push_back(x);
        }
      }
    }
  }
  return charts;
}

// Fails if a text leaves the drawing or overlaps another text, if a point is outside the plot, or
// if a number is not finite.
inline void ExpectReadable(const SvgChart& chart) {
  SCOPED_TRACE(Attribute(absl::StrCat(" ", chart.svg), "aria-label"));
  EXPECT_FALSE(absl::StrContains(chart.svg, "nan")) << chart.svg;
  EXPECT_FALSE(absl::StrContains(chart.svg, "inf")) << chart.svg;
  EXPECT_FALSE(chart.TextsOf("tick").empty());
  for (size_t i = 0; i < chart.texts.size(); ++i) {
    const SvgText& a = chart.texts[i];
    EXPECT_GE(a.left, -1) << a.text;
    EXPECT_LE(a.right, Drawing::kWidth + 1) << a.text;
    EXPECT_GE(a.top, 0) << a.text;
    EXPECT_LE(a.bottom, Drawing::kHeight) << a.text;
    for (size_t j = 0; j < i; ++j) {
      const SvgText& b = chart.texts[j];
      EXPECT_FALSE(a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
          << "'" << a.text << "' and '" << b.text << "'";
    }
  }
  for (const auto& [x, y] : chart.markers) {
    EXPECT_GE(x, Drawing::kLeft);
    EXPECT_LE(x, Drawing::kWidth);
    EXPECT_GE(y, Drawing::kTop);
    EXPECT_LE(y, Drawing::kBottom);
  }
}

}  // namespace qkserve

#endif  // QKSERVE_TESTS_TOOLS_REPORT_SVG_READER_H_
