#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "tools/qkctl/picture/canvas.h"

namespace qkserve {
namespace {

// The glyphs, drawn by hand on a grid. A stroke is a list of points. A point is a column, counted
// from '0', and a line. Line 'a' is 4 below the baseline, 'e' is the baseline, 'o' is the top of an
// "x", and 's' is the top of a "d" and of digits. A stroke that begins with '~' is a curve through
// its first and last point and along the points between. '@' begins a closed curve. Other strokes
// are straight from point to point.
constexpr int kBaseline = 'e' - 'a';
constexpr int kHeight = 's' - 'e';
constexpr double kSpacing = 4;
constexpr double kSpaceWidth = 2.5;

const char* GlyphOf(char c) {
  static constexpr const char* kDigits[] = {"@0e8e8s0s",
                                            "1p5s5e",
                                            "~0p0s8s8m5j0e 0e8e",
                                            "~0p0s8s8l3l ~3l8l8e0e0h",
                                            "6e6s0i8i",
                                            "7s1s0l ~0l3o8o8e0e0h",
                                            "@0e8e8n0n ~6s0r0i",
                                            "0s8s3e",
                                            "@1l7l7s1s @0e8e8l0l",
                                            "@0j8j8s0s ~2e8f8o"};
  static constexpr const char* kLetters[] = {"@0e7e7o0o 7o7e",            // a
                                             "0s0e @0e7e7o0o",            // b
                                             "~7m7o0o0e7e7g",             // c
                                             "7s7e @0e7e7o0o",            // d
                                             "0j7j ~7j7o0o0e7e7g",        // e
                                             "~6s2s2o 2o2e 0o5o",         // f
                                             "@0e7e7o0o 7o7e ~7e7a0a0b",  // g
                                             "0s0e ~0j0o7o7j 7j7e",       // h
                                             "0o0e 0r0s",                 // i
                                             "3o3e ~3e3a0a 3r3s",         // j
                                             "0s0e 6o0i 2k6e",            // k
                                             "0s0g ~0g0e2e",              // l
                                             "0o0e ~0j0o5o5j 5j5e ~5j5o:o:j :j:e",
                                             "0o0e ~0j0o7o7j 7j7e",  // n
                                             "@0e7e7o0o",            // o
                                             "0o0a @0e7e7o0o",       // p
                                             "7o7a @0e7e7o0o",       // q
                                             "0o0e ~0j0o5o",         // r
                                             "~6m6o0o0j6j6e0e0g",    // s
                                             "2s2h ~2h2e5e 0o5o",    // t
                                             "0o0j ~0j0e7e7j 7o7e",  // u
                                             "0o4e8o",               // v
                                             "0o3e6o9e<o",           // w
                                             "0o7e 7o0e",            // x
                                             "0o4e 8o2a",            // y
                                             "0o7o0e7e"};            // z
  if (c >= '0' && c <= '9') return kDigits[c - '0'];
  if (c >= 'a' && c <= 'z') return kLetters[c - 'a'];
  switch (c) {
    case ' ':
      return "";
    case '-':
      return "0j5j";
    case '+':
      return "0j6j 3m3g";
    case '.':
      return "0e0f";
    case ',':
      return "1f0c";
    case ':':
      return "0e0f 0m0n";
    case '/':
      return "0c5s";
    case '_':
      return "0d7d";
    case '=':
      return "0l6l 0h6h";
    case '[':
      return "3s0s0b3b";
    case ']':
      return "0s3s3b0b";
    case '(':
      return "~2s0q0d2b";
    case ')':
      return "~0s2q2d0b";
    default:
      return "0e7e7s0s0e";
  }
}

Point Middle(Point a, Point b) { return {(a.x + b.x) / 2, (a.y + b.y) / 2}; }

// Adds a quadratic Bezier curve from the last point to `to` with the control point `control`.
void AddCurve(Point control, Point to, std::vector<Point>& points) {
  constexpr int kSteps = 8;
  const Point from = points.back();
  for (int i = 1; i <= kSteps; ++i) {
    const double t = static_cast<double>(i) / kSteps;
    const double a = (1 - t) * (1 - t);
    const double b = 2 * t * (1 - t);
    const double c = t * t;
    points.push_back(
        {a * from.x + b * control.x + c * to.x, a * from.y + b * control.y + c * to.y});
  }
}

// Returns the points of a stroke, in units of the grid. The baseline is y = 0, and y goes upward.
std::vector<Point> PointsOf(absl::string_view stroke) {
  const char kind = stroke[0];
  const bool is_curve = kind == '~' || kind == '@';
  std::vector<Point> on_grid;
  for (size_t i = is_curve ? 1 : 0; i + 1 < stroke.size(); i += 2) {
    on_grid.push_back({static_cast<double>(stroke[i] - '0'),
                       static_cast<double>(stroke[i + 1] - 'a' - kBaseline)});
  }
  if (!is_curve) return on_grid;
  if (kind == '@') {
    // The curve goes from the middle of the last side around all corners and back.
    const Point begin = Middle(on_grid.back(), on_grid.front());
    on_grid.insert(on_grid.begin(), begin);
    on_grid.push_back(begin);
  }
  std::vector<Point> points = {on_grid.front()};
  for (size_t i = 1; i + 1 < on_grid.size(); ++i) {
    const bool is_last = i + 2 == on_grid.size();
    AddCurve(on_grid[i], is_last ? on_grid[i + 1] : Middle(on_grid[i], on_grid[i + 1]), points);
  }
  return points;
}

std::vector<std::vector<Point>> StrokesOf(char c) {
  std::vector<std::vector<Point>> strokes;
  for (const absl::string_view stroke : absl::StrSplit(GlyphOf(c), ' ', absl::SkipEmpty())) {
    strokes.push_back(PointsOf(stroke));
  }
  return strokes;
}

double GlyphWidth(char c) {
  double width = c == ' ' ? kSpaceWidth : 0;
  for (const std::vector<Point>& stroke : StrokesOf(c)) {
    for (const Point point : stroke) width = std::max(width, point.x);
  }
  return width;
}

}  // namespace

double TextWidth(absl::string_view text, double size) {
  double units = 0;
  for (const char c : text) units += GlyphWidth(c) + kSpacing;
  return text.empty() ? 0 : (units - kSpacing) * size / kHeight;
}

void DrawText(Canvas& canvas, double x, double y, absl::string_view text, const TextStyle& style) {
  const double unit = style.size / kHeight;
  double at = -style.anchor * TextWidth(text, style.size);
  for (const char c : text) {
    for (std::vector<Point>& stroke : StrokesOf(c)) {
      for (Point& point : stroke) {
        const double along = at + point.x * unit;
        const double up = point.y * unit;
        point = style.is_vertical ? Point{x - up, y - along} : Point{x + along, y - up};
      }
      canvas.Stroke(stroke, style.size / 8, style.color);
    }
    at += (GlyphWidth(c) + kSpacing) * unit;
  }
}

}  // namespace qkserve
