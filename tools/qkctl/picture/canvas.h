#ifndef QKSERVE_TOOLS_QKCTL_PICTURE_CANVAS_H_
#define QKSERVE_TOOLS_QKCTL_PICTURE_CANVAS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/qkctl/picture/color_grid.h"

namespace qkserve {

struct Point {
  double x = 0;
  double y = 0;
};

// A picture of pixels, white at first. Pixel (x, y) covers the square from (x, y) to (x+1, y+1).
// (0, 0) is at the top left. Parts that lie outside are not drawn. Thread-compatible.
class Canvas {
 public:
  Canvas(int64_t width, int64_t height);

  int64_t width() const { return width_; }
  int64_t height() const { return height_; }

  void Set(int64_t x, int64_t y, Color color);
  void Fill(int64_t x, int64_t y, int64_t width, int64_t height, Color color);

  // Draws the outermost pixels of a rectangle.
  void Frame(int64_t x, int64_t y, int64_t width, int64_t height, Color color);

  // Draws lines from point to point, with round ends and smooth edges.
  void Stroke(const std::vector<Point>& points, double thickness, Color color);

  // Returns the picture as a PNG. RESOURCE_EXHAUSTED: out of memory.
  absl::StatusOr<std::string> Png() const;

 private:
  int64_t width_;
  int64_t height_;
  std::vector<Color> pixels_;
};

// The style of a line of text. The font is made of strokes.
struct TextStyle {
  double size = 11;  // pixels, the height of "d" and of digits
  Color color{36, 41, 47};
  double anchor = 0;         // the part of the text that is before the place: 0, 0.5 or 1
  bool is_vertical = false;  // reads upward
};

// Returns the length of the text in pixels.
double TextWidth(absl::string_view text, double size);

// Draws text with its baseline through (x, y). The font has digits, small letters and punctuation.
// Any other character is drawn as a box.
void DrawText(Canvas& canvas, double x, double y, absl::string_view text, const TextStyle& style);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_PICTURE_CANVAS_H_
