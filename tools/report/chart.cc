#include "tools/report/chart.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace qkserve {
namespace {

// The size of the drawing in its own units: about that of a phone's screen.
constexpr double kWidth = 460;
constexpr double kHeight = 250;
constexpr double kLeft = 52;
constexpr double kRight = kWidth - 12;
constexpr double kTop = 12;
constexpr double kBottom = kHeight - 40;
constexpr int kTicks = 5;
constexpr size_t kDotsMax = 25;
constexpr size_t kClassLabelsMax = 8;

std::string Text(double x, double y, absl::string_view anchor, absl::string_view text) {
  return absl::StrFormat("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor,
                         EscapeHtml(text));
}

// Positions of values along an axis, and the values that are marked.
class Scale {
 public:
  Scale(bool logarithmic, double from, double to)
      : logarithmic_(logarithmic), from_(from), to_(to) {}

  // Makes the scale wide enough for the values. A linear scale begins at 0 if `from_zero`.
  void Fit(const std::vector<double>& values, bool from_zero) {
    low_ = std::numeric_limits<double>::infinity();
    high_ = -low_;
    for (const double value : values) {
      if (!Shows(value)) continue;
      low_ = std::min(low_, value);
      high_ = std::max(high_, value);
    }
    if (from_zero && !logarithmic_) low_ = std::min(low_, 0.0);
    if (logarithmic_) {
      // Widened until it has at least two marks: 1, 2 and 5 times powers of ten.
      constexpr double kRatioMin = 5;
      const double widen = std::max(1.0, std::sqrt(kRatioMin * low_ / high_));
      low_ /= widen;
      high_ *= widen;
    } else if (high_ - low_ <= 0) {
      high_ = low_ + 1;
    }
  }

  bool Shows(double value) const { return std::isfinite(value) && (!logarithmic_ || value > 0); }

  double At(double value) const {
    const double part = logarithmic_ ? std::log(value / low_) / std::log(high_ / low_)
                                     : (value - low_) / (high_ - low_);
    return from_ + part * (to_ - from_);
  }

  std::vector<double> Ticks() const { return logarithmic_ ? LogarithmicTicks() : LinearTicks(); }

 private:
  std::vector<double> LinearTicks() const {
    const double rough = (high_ - low_) / kTicks;
    const double power = std::pow(10, std::floor(std::log10(rough)));
    double step = power * 10;
    for (const double factor : {5.0, 2.0, 1.0}) {
      if (power * factor >= rough) step = power * factor;
    }
    std::vector<double> ticks;
    const auto first = static_cast<int64_t>(std::ceil(low_ / step));
    const auto last = static_cast<int64_t>(std::floor(high_ / step * (1 + 1e-9)));
    for (int64_t i = first; i <= last; ++i) ticks.push_back(static_cast<double>(i) * step);
    return ticks;
  }

  // The powers of ten. If these are few, also 2 and 5 times each.
  std::vector<double> LogarithmicTicks() const {
    const bool few = std::log10(high_ / low_) < 2.5;
    std::vector<double> ticks;
    const auto first = static_cast<int>(std::floor(std::log10(low_)));
    const auto last = static_cast<int>(std::floor(std::log10(high_)));
    for (int exponent = first; exponent <= last; ++exponent) {
      const double power = std::pow(10, exponent);
      for (const double factor : {1.0, 2.0, 5.0}) {
        if (factor > 1 && !few) continue;
        const double tick = power * factor;
        if (tick >= low_ * 0.999 && tick <= high_ * 1.001) ticks.push_back(tick);
      }
    }
    return ticks;
  }

  const bool logarithmic_;
  const double from_, to_;  // on the drawing
  double low_ = 0, high_ = 1;
};

std::string VerticalAxis(const Scale& scale, absl::string_view label) {
  std::string svg;
  for (const double tick : scale.Ticks()) {
    const double y = scale.At(tick);
    absl::StrAppendFormat(&svg, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>\n", kLeft, y, kRight);
    absl::StrAppend(&svg, Text(kLeft - 6, y + 4, "end", NumberText(tick)));
  }
  absl::StrAppendFormat(&svg,
                        "<text class=\"label\" transform=\"translate(11 %.1f) rotate(-90)\" "
                        "text-anchor=\"middle\">%s</text>\n",
                        (kTop + kBottom) / 2, EscapeHtml(label));
  return svg;
}

std::string HorizontalLabel(absl::string_view label) {
  return absl::StrFormat(
      "<text class=\"label\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
      (kLeft + kRight) / 2, kHeight - 6, EscapeHtml(label));
}

template <typename Series>
std::string Legend(const std::vector<Series>& series) {
  if (series.size() < 2) return "";
  std::string html = "<p class=\"legend\">";
  for (size_t i = 0; i < series.size(); ++i) {
    absl::StrAppendFormat(&html, "<span><i class=\"s%d\"></i>%s</span> ", i,
                          EscapeHtml(series[i].name));
  }
  return absl::StrCat(html, "</p>\n");
}

std::string Figure(absl::string_view title, absl::string_view legend, absl::string_view drawing) {
  return absl::StrFormat(
      "<figure>\n<figcaption>%s</figcaption>\n%s"
      "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s\">\n%s</svg>\n</figure>\n",
      EscapeHtml(title), legend, kWidth, kHeight, EscapeHtml(title), drawing);
}

// A line is broken where a point is missing.
std::string Line(const LineChart::Series& series, size_t index, const Scale& x, const Scale& y) {
  std::string path, dots;
  bool pen_down = false;
  for (const auto& [at, value] : series.points) {
    if (!x.Shows(at) || !y.Shows(value)) {
      pen_down = false;
      continue;
    }
    absl::StrAppendFormat(&path, "%c%.1f %.1f", pen_down ? 'L' : 'M', x.At(at), y.At(value));
    // Touched with a pointer, a point says what it is.
    absl::StrAppendFormat(&dots,
                          "<circle class=\"s%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"><title>%s: %s at "
                          "%s</title></circle>\n",
                          index, x.At(at), y.At(value),
                          series.points.size() > kDotsMax ? "1.5" : "3", EscapeHtml(series.name),
                          NumberText(value), NumberText(at));
    pen_down = true;
  }
  return absl::StrFormat("<path class=\"line s%d\" d=\"%s\"/>\n%s", index, path, dots);
}

}  // namespace

std::string EscapeHtml(absl::string_view text) {
  std::string escaped = absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
  // Control characters are no part of HTML.
  for (char& c : escaped) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  return escaped;
}

std::string NumberText(double value) {
  const double magnitude = std::abs(value);
  if (magnitude >= 1e6) return absl::StrFormat("%.4gM", value / 1e6);
  if (magnitude >= 1e4) return absl::StrFormat("%.4gk", value / 1e3);
  return absl::StrFormat("%.4g", value);
}

std::string ChartSvg(const LineChart& chart) {
  Scale x(chart.x.logarithmic, kLeft, kRight);
  Scale y(chart.y.logarithmic, kBottom, kTop);
  std::vector<double> xs, ys;
  for (const LineChart::Series& series : chart.series) {
    for (const auto& [at, value] : series.points) {
      if (!x.Shows(at) || !y.Shows(value)) continue;
      xs.push_back(at);
      ys.push_back(value);
    }
  }
  if (xs.empty()) return "";
  x.Fit(xs, /*from_zero=*/false);
  y.Fit(ys, /*from_zero=*/true);
  std::string svg = VerticalAxis(y, chart.y.label);
  for (const double tick : x.Ticks()) {
    absl::StrAppend(&svg, Text(x.At(tick), kBottom + 16, "middle", NumberText(tick)));
  }
  absl::StrAppend(&svg, HorizontalLabel(chart.x.label));
  for (size_t i = 0; i < chart.series.size(); ++i) {
    absl::StrAppend(&svg, Line(chart.series[i], i, x, y));
  }
  return Figure(chart.title, Legend(chart.series), svg);
}

std::string ChartSvg(const BarChart& chart) {
  std::vector<double> values;
  for (const BarChart::Series& series : chart.series) {
    values.insert(values.end(), series.values.begin(), series.values.end());
  }
  Scale y(false, kBottom, kTop);
  const bool any = std::any_of(values.begin(), values.end(),
                               [](double value) { return std::isfinite(value) && value > 0; });
  if (!any || chart.classes.empty()) return "";
  y.Fit(values, /*from_zero=*/true);
  std::string svg = VerticalAxis(y, chart.y_label);
  const double pitch = (kRight - kLeft) / static_cast<double>(chart.classes.size());
  const double width = pitch * 0.85 / static_cast<double>(chart.series.size());
  const size_t label_every = (chart.classes.size() + kClassLabelsMax - 1) / kClassLabelsMax;
  for (size_t i = 0; i < chart.classes.size(); ++i) {
    const double left = kLeft + pitch * (static_cast<double>(i) + 0.075);
    if (i % label_every == 0) {
      absl::StrAppend(&svg, Text(left + pitch * 0.425, kBottom + 16, "middle", chart.classes[i]));
    }
    for (size_t s = 0; s < chart.series.size(); ++s) {
      const double value = i < chart.series[s].values.size() ? chart.series[s].values[i] : 0;
      if (!(value > 0) || !std::isfinite(value)) continue;
      absl::StrAppendFormat(&svg,
                            "<rect class=\"s%d\" x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" "
                            "height=\"%.1f\"><title>%s, %s: %s</title></rect>\n",
                            s, left + width * static_cast<double>(s), y.At(value), width,
                            kBottom - y.At(value), EscapeHtml(chart.series[s].name),
                            EscapeHtml(chart.classes[i]), NumberText(value));
    }
  }
  absl::StrAppend(&svg, HorizontalLabel(chart.x_label));
  return Figure(chart.title, Legend(chart.series), svg);
}

}  // namespace qkserve
