#include "tools/qkctl/picture/canvas.h"

#include <png.h>

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace qkserve {
namespace {

// Returns the distance of `p` from the line from `a` to `b`.
double Distance(Point p, Point a, Point b) {
  const double dx = b.x - a.x;
  const double dy = b.y - a.y;
  const double square = dx * dx + dy * dy;
  const double along =
      square > 0 ? std::clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / square, 0.0, 1.0) : 0;
  return std::hypot(p.x - a.x - along * dx, p.y - a.y - along * dy);
}

uint8_t Mix(uint8_t below, uint8_t above, double part) {
  return static_cast<uint8_t>(std::lround(below + part * (above - below)));
}

}  // namespace

Canvas::Canvas(int64_t width, int64_t height)
    : width_(width), height_(height), pixels_(width * height, Color{255, 255, 255}) {}

void Canvas::Set(int64_t x, int64_t y, Color color) {
  if (x >= 0 && x < width_ && y >= 0 && y < height_) pixels_[y * width_ + x] = color;
}

void Canvas::Fill(int64_t x, int64_t y, int64_t width, int64_t height, Color color) {
  for (int64_t row = y; row < y + height; ++row) {
    for (int64_t column = x; column < x + width; ++column) Set(column, row, color);
  }
}

void Canvas::Frame(int64_t x, int64_t y, int64_t width, int64_t height, Color color) {
  Fill(x, y, width, 1, color);
  Fill(x, y + height - 1, width, 1, color);
  Fill(x, y, 1, height, color);
  Fill(x + width - 1, y, 1, height, color);
}

void Canvas::Stroke(const std::vector<Point>& points, double thickness, Color color) {
  if (points.empty()) return;
  const double reach = thickness / 2 + 1;
  const auto [left, right] =
      std::minmax_element(points.begin(), points.end(), [](Point a, Point b) { return a.x < b.x; });
  const auto [top, bottom] =
      std::minmax_element(points.begin(), points.end(), [](Point a, Point b) { return a.y < b.y; });
  const auto begin = [](double at) { return std::max<int64_t>(0, std::floor(at)); };
  const int64_t x_end = std::min<int64_t>(width_, std::ceil(right->x + reach));
  const int64_t y_end = std::min<int64_t>(height_, std::ceil(bottom->y + reach));
  for (int64_t y = begin(top->y - reach); y < y_end; ++y) {
    for (int64_t x = begin(left->x - reach); x < x_end; ++x) {
      const Point middle = {static_cast<double>(x) + 0.5, static_cast<double>(y) + 0.5};
      double distance = Distance(middle, points[0], points[0]);
      for (size_t i = 1; i < points.size(); ++i) {
        distance = std::min(distance, Distance(middle, points[i - 1], points[i]));
      }
      // The approximate part of the pixel that the line covers.
      const double part = std::clamp(thickness / 2 + 0.5 - distance, 0.0, 1.0);
      Color& pixel = pixels_[y * width_ + x];
      pixel = {Mix(pixel.red, color.red, part), Mix(pixel.green, color.green, part),
               Mix(pixel.blue, color.blue, part)};
    }
  }
}

absl::StatusOr<std::string> Canvas::Png() const {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width_);
  image.height = static_cast<png_uint_32>(height_);
  image.format = PNG_FORMAT_RGB;
  static_assert(sizeof(Color) == 3, "libpng takes the pixels as they are");
  std::string bytes(PNG_IMAGE_PNG_SIZE_MAX(image), '\0');
  png_alloc_size_t size = bytes.size();
  if (png_image_write_to_memory(&image, bytes.data(), &size, /*convert_to_8_bit=*/0, pixels_.data(),
                                /*row_stride=*/0, /*colormap=*/nullptr) == 0) {
    return absl::ResourceExhaustedError(absl::StrCat("libpng: ", image.message));
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace qkserve
