#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/report/axis.h"
#include "tools/report/chart.h"
#include "tools/report/drawing.h"

namespace qkserve {
namespace {

constexpr size_t kMarkersMax = 25;  // a series with more points has no markers
constexpr double kTipDistance = 3;  // between two places that have a tip
constexpr double kNear = 1.5;       // points of lines that coincide are closer

// A series on the drawing. Points that cannot be shown are left out and break the line.
struct DrawnSeries {
  struct Point {
    double x, y;  // on the drawing
    bool begins;  // the line is broken before it
  };

  std::string name;
  size_t style = 0;
  std::vector<Point> points;
};

DrawnSeries DrawnOf(const LineChart::Series& series, size_t style, const Axis& x, const Axis& y) {
  DrawnSeries drawn = {series.name, style, {}};
  bool begins = true;
  for (const auto& [at, value] : series.points) {
    if (!x.Shows(at) || !y.Shows(value)) {
      begins = true;
      continue;
    }
    drawn.points.push_back({x.At(at), y.At(value), begins});
    begins = false;
  }
  return drawn;
}

// True if the two lines look the same.
bool Coincide(const DrawnSeries& a, const DrawnSeries& b) {
  return a.points.size() == b.points.size() &&
         std::equal(a.points.begin(), a.points.end(), b.points.begin(),
                    [](const auto& one, const auto& other) {
                      return std::hypot(one.x - other.x, one.y - other.y) < kNear;
                    });
}

// Returns the series to draw. Series that coincide are drawn as one, which has both names.
std::vector<DrawnSeries> DrawnSeriesOf(const LineChart& chart, const Axis& x, const Axis& y) {
  std::vector<DrawnSeries> all;
  for (size_t i = 0; i < chart.series.size(); ++i) {
    DrawnSeries drawn = DrawnOf(chart.series[i], i, x, y);
    if (drawn.points.empty()) continue;
    const auto same = std::find_if(all.begin(), all.end(), [&drawn](const DrawnSeries& other) {
      return Coincide(drawn, other);
    });
    if (same == all.end()) {
      all.push_back(std::move(drawn));
    } else {
      absl::StrAppend(&same->name, ", ", drawn.name);
    }
  }
  return all;
}

// Returns a marker. Its form and its colour both show its series.
std::string Marker(size_t style, double x, double y) {
  static constexpr const char* kForms[] = {"m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z",
                                           "m-3.2 -3.2h6.4v6.4h-6.4z",
                                           "m0 -4.2l4.2 7.4h-8.4z",
                                           "m0 -4.6l4.6 4.6l-4.6 4.6l-4.6 -4.6z",
                                           "m0 4.2l4.2 -7.4h-8.4z",
                                           "m-4 -1h8v2h-8z"};
  return absl::StrFormat("<path class=\"marker s%d\" d=\"M%.1f %.1f%s\"/>\n", style, x, y,
                         kForms[style]);
}

void AddLine(const DrawnSeries& series, Drawing& drawing) {
  std::string path, markers;
  const bool has_markers = series.points.size() <= kMarkersMax;
  for (size_t i = 0; i < series.points.size(); ++i) {
    const DrawnSeries::Point& point = series.points[i];
    absl::StrAppendFormat(&path, "%c%.1f %.1f", point.begins ? 'M' : 'L', point.x, point.y);
    // A point without neighbours has no line, so it has a marker.
    const bool is_alone =
        point.begins && (i + 1 == series.points.size() || series.points[i + 1].begins);
    if (has_markers) drawing.KeepClear(point.x, point.y);
    if (has_markers || is_alone) {
      absl::StrAppend(&markers, Marker(series.style, point.x, point.y));
    }
  }
  drawing.Add(
      absl::StrFormat("<path class=\"line s%d\" d=\"%s\"/>\n%s", series.style, path, markers));
}

// Writes each name beside the end of its line, in the order of the lines.
void AddNames(std::vector<DrawnSeries>& all, Drawing& drawing) {
  if (all.size() < 2) return;
  std::sort(all.begin(), all.end(), [](const DrawnSeries& a, const DrawnSeries& b) {
    return a.points.back().y < b.points.back().y;
  });
  std::vector<double> at;
  for (const DrawnSeries& series : all) {
    const double wanted = std::max(series.points.back().y, Drawing::kTop + 8);
    at.push_back(at.empty() ? wanted : std::max(wanted, at.back() + Drawing::kLineHeight));
  }
  // The lowest name may now be too low, so names move up.
  double lowest = Drawing::kBottom - 8;
  for (size_t i = at.size(); i-- > 0; lowest = at[i] - Drawing::kLineHeight) {
    at[i] = std::min(at[i], lowest);
  }
  for (size_t i = 0; i < all.size(); ++i) {
    drawing.AddText(all[i].name, absl::StrCat("name t", all[i].style),
                    {{drawing.right() + 8, at[i] + 4.5, "start"}});
  }
}

// Returns the CSS classes of a mark's line or label.
std::string MarkClass(absl::string_view what, const ChartMark& mark) {
  return absl::StrCat(what, mark.is_good ? " good" : "");
}

// Returns the places for the label of a level. The ends of the level come first, then places all
// along it, and then a line farther from it. Each is above or below the level.
std::vector<Drawing::Place> LevelPlaces(double at, const Drawing& drawing) {
  constexpr double kStep = 12;
  const double left = Drawing::kLeft + 6;
  const double right = drawing.right() - 6;
  std::vector<Drawing::Place> places = {{left, at - 5, "start"},
                                        {right, at - 5, "end"},
                                        {left, at + 15, "start"},
                                        {right, at + 15, "end"}};
  for (double x = left + kStep; x < right; x += kStep) {
    places.push_back({x, at - 5, "start"});
    places.push_back({x, at + 15, "start"});
  }
  for (double x = left; x < right; x += kStep) {
    places.push_back({x, at - 5 - Drawing::kLineHeight, "start"});
    places.push_back({x, at + 15 + Drawing::kLineHeight, "start"});
  }
  return places;
}

// Returns where lines of places are on the drawing.
std::vector<double> PlacesOf(const LineChart& chart, const Axis& x) {
  std::vector<double> all;
  for (const ChartMark& place : chart.places) {
    if (x.Shows(place.value)) all.push_back(x.At(place.value));
  }
  return all;
}

// Adds the lines of levels and places. They come before labels, which are drawn above them.
void AddMarkLines(const LineChart& chart, const Axis& x, const Axis& y, Drawing& drawing) {
  for (const ChartMark& level : chart.levels) {
    if (!y.Shows(level.value)) continue;
    const double at = y.At(level.value);
    drawing.Add(absl::StrFormat("<path class=\"mark\" d=\"M%.1f %.1fH%.1f\"/>\n", Drawing::kLeft,
                                at, drawing.right()));
    drawing.KeepClearOfLine(Drawing::kLeft, at, drawing.right(), at);
  }
  for (const ChartMark& place : chart.places) {
    if (!x.Shows(place.value)) continue;
    drawing.Add(absl::StrFormat("<path class=\"%s\" d=\"M%.1f %.1fV%.1f\"/>\n",
                                MarkClass("mark", place), x.At(place.value), Drawing::kTop,
                                Drawing::kBottom));
  }
}

// Adds the labels of levels, if possible where no line of a place crosses them. A label for which
// there is no room is drawn over other things.
void AddLevelLabels(const LineChart& chart, const Axis& x, const Axis& y, Drawing& drawing) {
  const std::vector<double> lines = PlacesOf(chart, x);
  for (const ChartMark& level : chart.levels) {
    if (!y.Shows(level.value)) continue;
    const double at = y.At(level.value);
    const double width = Drawing::TextWidth(level.label);
    std::vector<Drawing::Place> places = LevelPlaces(at, drawing);
    std::stable_partition(places.begin(), places.end(), [&](const Drawing::Place& place) {
      const double left = place.x - (absl::string_view(place.anchor) == "end" ? width : 0);
      return std::none_of(lines.begin(), lines.end(),
                          [&](double line) { return left < line && line < left + width; });
    });
    const std::string css_class = MarkClass("mark-label", level);
    if (!drawing.AddText(level.label, css_class, places)) {
      drawing.AddOver(level.label, css_class, {drawing.right() - 6, at - 5, "end"});
    }
  }
}

// Adds the labels of places beside their lines. A label for which there is no room there is put to
// the left or to the right of all lines.
void AddPlaceLabels(const LineChart& chart, const Axis& x, Drawing& drawing) {
  double first = drawing.right();
  double last = Drawing::kLeft;
  for (const double line : PlacesOf(chart, x)) {
    first = std::min(first, line);
    last = std::max(last, line);
    drawing.KeepClearOfLine(line, Drawing::kTop, line, Drawing::kBottom);
  }
  for (const ChartMark& place : chart.places) {
    if (!x.Shows(place.value)) continue;
    const double at = x.At(place.value);
    std::vector<Drawing::Place> beside, outside;
    for (double y = Drawing::kTop + 12; y < Drawing::kBottom; y += Drawing::kLineHeight) {
      beside.push_back({at - 5, y, "end"});
      beside.push_back({at + 5, y, "start"});
      outside.push_back({first - 5, y, "end"});
      outside.push_back({last + 5, y, "start"});
    }
    beside.insert(beside.end(), outside.begin(), outside.end());
    drawing.AddText(place.label, MarkClass("mark-label", place), beside);
  }
}

void AddPointLabels(const LineChart& chart, const Axis& x, const Axis& y, Drawing& drawing) {
  if (chart.series.empty()) return;
  const auto& points = chart.series[0].points;
  for (size_t i = 0; i < std::min(chart.point_labels.size(), points.size()); ++i) {
    if (!x.Shows(points[i].first) || !y.Shows(points[i].second)) continue;
    const double at = x.At(points[i].first);
    const double on = y.At(points[i].second);
    // A rising line leaves room below it on the right and above it on the left.
    drawing.AddText(chart.point_labels[i], "point",
                    {{at + 6, on + 17, "start"},
                     {at - 6, on - 8, "end"},
                     {at, on + 19, "middle"},
                     {at + 8, on + 5, "start"},
                     {at - 8, on + 5, "end"},
                     {at - 6, on + 17, "end"},
                     {at, on - 9, "middle"}});
  }
}

// Adds a tip at each place with the values of all series there.
void AddTips(const LineChart& chart, const Axis& x, const Axis& y, Drawing& drawing) {
  std::map<double, std::vector<std::string>> lines_at;
  for (size_t s = 0; s < chart.series.size(); ++s) {
    const LineChart::Series& series = chart.series[s];
    for (size_t i = 0; i < series.points.size(); ++i) {
      const auto& [at, value] = series.points[i];
      if (!x.Shows(at) || !y.Shows(value)) continue;
      std::vector<std::string>& lines = lines_at[at];
      if (lines.empty()) {
        lines.push_back(i < chart.point_labels.size()
                            ? absl::StrCat(chart.point_labels[i], ": ", UnitText(at, chart.x.unit))
                            : UnitText(at, chart.x.unit));
      }
      lines.push_back(absl::StrCat(series.name, " ", UnitText(value, chart.y.unit)));
    }
  }
  std::vector<double> shown;
  for (const auto& [at, lines] : lines_at) {
    if (shown.empty() || x.At(at) - x.At(shown.back()) >= kTipDistance) shown.push_back(at);
  }
  for (size_t i = 0; i < shown.size(); ++i) {
    const double at = x.At(shown[i]);
    const double left = i == 0 ? Drawing::kLeft : (x.At(shown[i - 1]) + at) / 2;
    const double right = i + 1 == shown.size() ? drawing.right() : (at + x.At(shown[i + 1])) / 2;
    drawing.AddTip(left, right, at, lines_at[shown[i]]);
  }
}

// Returns the right end of the plot, which leaves room for the names after it.
double RightOf(const std::vector<DrawnSeries>& all) {
  double names = 0;
  for (const DrawnSeries& series : all) names = std::max(names, Drawing::TextWidth(series.name));
  constexpr double kBold = 1.2;  // names are bold, and wider than other texts
  return Drawing::kWidth - (all.size() < 2 ? 14 : kBold * names + 12);
}

}  // namespace

std::string ChartSvg(const LineChart& chart) {
  Axis whole_x(chart.x, Drawing::kLeft, Drawing::kWidth);
  Axis y(chart.y, Drawing::kBottom, Drawing::kTop);
  std::vector<double> xs, ys;
  for (const LineChart::Series& series : chart.series) {
    for (const auto& [at, value] : series.points) {
      if (!whole_x.Shows(at) || !y.Shows(value)) continue;
      xs.push_back(at);
      ys.push_back(value);
    }
  }
  if (xs.empty()) return "";
  for (const ChartMark& mark : chart.places) xs.push_back(mark.value);
  for (const ChartMark& mark : chart.levels) ys.push_back(mark.value);
  whole_x.Fit(xs);
  y.Fit(ys);
  // This makes room for labels below the points and above the lines.
  if (!chart.point_labels.empty()) y.Pad(0.1, 0);
  if (!chart.levels.empty() || !chart.places.empty()) y.Pad(0, 0.1);
  y.EndAtTick(Drawing::kTickDistance);
  // The names limit the plot's width, and lines that coincide share a name. To see which lines
  // coincide, all lines are first drawn over the whole width.
  const double right = RightOf(DrawnSeriesOf(chart, whole_x, y));
  Axis x(chart.x, Drawing::kLeft, right);
  x.Fit(xs);
  std::vector<DrawnSeries> all = DrawnSeriesOf(chart, x, y);

  Drawing drawing(right);
  drawing.AddVerticalAxis(y, chart.y.unit);
  drawing.AddHorizontalLabel(chart.x.label);
  drawing.AddHorizontalAxis(x, chart.x.unit);
  if (chart.is_one_color) drawing.Add("<g class=\"one-color\">\n");
  for (const DrawnSeries& series : all) AddLine(series, drawing);
  // Each name has only one place, but other texts have several. For this reason names come first.
  AddNames(all, drawing);
  if (chart.is_one_color) drawing.Add("</g>\n");
  AddMarkLines(chart, x, y, drawing);
  AddLevelLabels(chart, x, y, drawing);
  AddPlaceLabels(chart, x, drawing);
  AddPointLabels(chart, x, y, drawing);
  AddTips(chart, x, y, drawing);
  return drawing.Figure(chart.title, "");
}

}  // namespace qkserve
