#include "tools/qkctl/picture/canvas.h"

#include <png.h>

#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace qkserve {
namespace {

// Returns the dark pixels of a canvas as lines of text.
std::vector<std::string> Dark(const Canvas& canvas) {
  const std::string bytes = canvas.Png().value();
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  EXPECT_NE(png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()), 0);
  image.format = PNG_FORMAT_GRAY;
  std::string pixels(canvas.width() * canvas.height(), '\0');
  EXPECT_NE(png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr), 0);
  std::vector<std::string> lines;
  for (int64_t y = 0; y < canvas.height(); ++y) {
    lines.emplace_back();
    for (int64_t x = 0; x < canvas.width(); ++x) {
      const bool is_dark = static_cast<unsigned char>(pixels[y * canvas.width() + x]) < 128;
      lines.back() += is_dark ? '#' : ' ';
    }
  }
  return lines;
}

std::vector<std::string> Drawn(const std::string& text, const TextStyle& style = {}) {
  Canvas canvas(160, 60);
  DrawText(canvas, 40, 40, text, style);
  return Dark(canvas);
}

TEST(CanvasTest, LeavesOutWhatLiesOutside) {
  Canvas canvas(4, 3);
  canvas.Fill(-5, -5, 7, 6, {0, 0, 0});
  canvas.Stroke({{3, -10}, {40, -10}}, 2, {0, 0, 0});
  EXPECT_EQ(Dark(canvas), (std::vector<std::string>{"##  ", "    ", "    "}));
}

TEST(CanvasTest, DrawsLinesFromPointToPoint) {
  Canvas canvas(7, 5);
  canvas.Stroke({{1.5, 1.5}, {5.5, 1.5}, {5.5, 3.5}}, 1, {0, 0, 0});
  EXPECT_EQ(Dark(canvas),
            (std::vector<std::string>{"       ", " ##### ", "     # ", "     # ", "       "}));
}

TEST(DrawTextTest, StandsOnItsBaselineAndIsAsLongAsItSays) {
  const std::string text = "0123456789 abcdefgh";
  for (const double anchor : {0.0, 0.5, 1.0}) {
    const double width = TextWidth(text, 6);
    const auto lines = Drawn(text, {.size = 6, .color = {0, 0, 0}, .anchor = anchor});
    for (int64_t y = 0; y < 60; ++y) {
      for (int64_t x = 0; x < 160; ++x) {
        if (lines[y][x] == ' ') continue;
        EXPECT_GE(y, 33);
        EXPECT_LE(y, 43);  // "g" goes below the baseline
        EXPECT_GE(x, 40 - anchor * width - 1);
        EXPECT_LE(x, 40 + (1 - anchor) * width + 1);
      }
    }
  }
}

TEST(DrawTextTest, EveryCharacterLooksLikeNoOther) {
  const std::string known = "0123456789abcdefghijklmnopqrstuvwxyz -+.,:/_=[]()?";
  for (size_t i = 0; i < known.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      EXPECT_NE(Drawn(std::string(1, known[i]), {.size = 20}),
                Drawn(std::string(1, known[j]), {.size = 20}))
          << known[i] << known[j];
    }
  }
}

TEST(DrawTextTest, ReadsUpward) {
  const auto across = Drawn("l.", {.size = 14});
  const auto upward = Drawn("l.", {.size = 14, .is_vertical = true});
  for (int64_t along = 0; along < 12; ++along) {
    for (int64_t up = 1; up < 14; ++up) {
      EXPECT_EQ(across[40 - up][40 + along], upward[39 - along][40 - up]) << along << ' ' << up;
    }
  }
}

}  // namespace
}  // namespace qkserve
