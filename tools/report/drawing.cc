#include "tools/report/drawing.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace qkserve {
namespace {

std::string Text(absl::string_view css_class, double x, double y, absl::string_view anchor,
                 absl::string_view text) {
  return absl::StrFormat("<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n",
                         css_class, x, y, anchor, EscapeHtml(text));
}

}  // namespace

double Drawing::TextWidth(absl::string_view text) {
  // The usual width of a letter, as a part of the text's size. Capitals are wider, and "l" is
  // narrower.
  constexpr double kLetter = 0.56;
  const auto letters = std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;  // UTF-8
  });
  return kLetter * kTextSize * static_cast<double>(letters);
}

void Drawing::Add(absl::string_view svg) { absl::StrAppend(&svg_, svg); }

void Drawing::AddVerticalAxis(const Axis& axis, Unit unit) {
  for (const double tick :
       axis.Ticks(axis.is_logarithmic() ? kLogarithmicTickDistance : kTickDistance)) {
    const double y = axis.At(tick);
    absl::StrAppendFormat(&svg_, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>\n", kLeft, y,
                          right_);
    const std::string number = UnitText(tick, unit);
    boxes_.push_back({kLeft - 7 - TextWidth(number), y - 8, kLeft - 7, y + 8});
    Add(Text("tick", kLeft - 7, y + 4.5, "end", number));
  }
}

void Drawing::AddHorizontalAxis(const Axis& axis, Unit unit) {
  // Tries larger distances between ticks until the labels fit. The distance cannot be computed in
  // advance, because the ticks decide how long the labels are.
  double distance = 20;
  std::vector<double> ticks;
  for (bool fits = false; !fits; distance *= 1.25) {
    ticks = axis.Ticks(distance);
    fits = true;
    for (size_t i = 1; i < ticks.size(); ++i) {
      const double half =
          (TextWidth(UnitText(ticks[i - 1], unit)) + TextWidth(UnitText(ticks[i], unit))) / 2;
      if (axis.At(ticks[i]) - axis.At(ticks[i - 1]) < half + 14) fits = false;
    }
  }
  for (const double tick : ticks) AddHorizontalTick(axis.At(tick), UnitText(tick, unit));
}

void Drawing::AddHorizontalTick(double x, absl::string_view text) {
  absl::StrAppendFormat(&svg_, "<path class=\"axis\" d=\"M%.1f %.1fv4\"/>\n", x, kBottom);
  const double half = TextWidth(text) / 2;
  Add(Text("tick", std::min(x, kWidth - half - 1), kBottom + 18, "middle", text));
}

void Drawing::AddHorizontalLabel(absl::string_view label) {
  absl::StrAppendFormat(&svg_, "<path class=\"axis\" d=\"M%.1f %.1fH%.1f\"/>\n", kLeft, kBottom,
                        right_);
  if (label.empty()) return;
  Add(Text("label", (kLeft + right_) / 2, kHeight - 7, "middle", label));
}

void Drawing::KeepClear(double x, double y) {
  constexpr double kReach = 5;
  boxes_.push_back({x - kReach, y - kReach, x + kReach, y + kReach});
}

void Drawing::KeepClearOfLine(double from_x, double from_y, double to_x, double to_y) {
  constexpr double kReach = 2;
  boxes_.push_back({from_x - kReach, from_y - kReach, to_x + kReach, to_y + kReach});
}

bool Drawing::IsFree(const Box& box) const {
  if (box.left < 0 || box.right > kWidth || box.top < 0 || box.bottom > kBottom) return false;
  return std::none_of(boxes_.begin(), boxes_.end(), [&box](const Box& other) {
    return box.left < other.right && other.left < box.right && box.top < other.bottom &&
           other.top < box.bottom;
  });
}

bool Drawing::AddText(absl::string_view text, absl::string_view css_class,
                      const std::vector<Place>& places) {
  for (const Place& place : places) {
    const double width = TextWidth(text);
    const absl::string_view anchor = place.anchor;
    const double left = place.x - (anchor == "end" ? width : anchor == "middle" ? width / 2 : 0);
    const Box box = {left, place.y - 12, left + width, place.y + 3};
    if (!IsFree(box)) continue;
    boxes_.push_back(box);
    Add(Text(css_class, place.x, place.y, place.anchor, text));
    return true;
  }
  return false;
}

void Drawing::AddOver(absl::string_view text, absl::string_view css_class, const Place& place) {
  Add(Text(css_class, place.x, place.y, place.anchor, text));
}

void Drawing::AddTip(double left, double right, double x, const std::vector<std::string>& lines) {
  double width = 0;
  for (const std::string& line : lines) width = std::max(width, TextWidth(line));
  width += 16;
  const double height = kLineHeight * static_cast<double>(lines.size()) + 9;
  const bool is_left = x > (kLeft + right_) / 2;
  const double box =
      std::clamp(is_left ? x - 10 - width : x + 10, 0.0, std::max(0.0, kWidth - width));
  absl::StrAppendFormat(&tips_,
                        "<g class=\"at\"><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                        "height=\"%.1f\"/><path d=\"M%.1f %.1fV%.1f\"/><g class=\"tip\"><rect "
                        "x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"4\"/>",
                        left, kTop, right - left, kBottom - kTop, x, kTop, kBottom, box, kTop,
                        width, height);
  double y = kTop + kLineHeight;
  for (const std::string& line : lines) {
    absl::StrAppendFormat(&tips_, "<text x=\"%.1f\" y=\"%.1f\">%s</text>", box + 8, y,
                          EscapeHtml(line));
    y += kLineHeight;
  }
  absl::StrAppend(&tips_, "</g></g>\n");
}

std::string Drawing::Figure(absl::string_view title, absl::string_view legend) const {
  return absl::StrFormat(
      "<figure>\n<figcaption>%s</figcaption>\n%s"
      "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s\">\n%s%s</svg>\n</figure>\n",
      EscapeHtml(title), legend, kWidth, kHeight, EscapeHtml(title), svg_, tips_);
}

}  // namespace qkserve
