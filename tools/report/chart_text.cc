#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "tools/report/chart.h"

namespace qkserve {
namespace {

// Returns the value with three digits, which are enough beside a line or a bar. All digits before
// the point are kept.
std::string ThreeDigits(double value) {
  return std::abs(value) >= 100 ? absl::StrFormat("%.0f", value) : absl::StrFormat("%.3g", value);
}

std::string MillisecondsText(double value) {
  const double magnitude = std::abs(value);
  if (magnitude > 0 && magnitude < 0.9995) return ThreeDigits(value * 1e3) + " µs";
  if (magnitude >= 999.5) return ThreeDigits(value / 1e3) + " s";
  return ThreeDigits(value) + " ms";
}

}  // namespace

std::string EscapeHtml(absl::string_view text) {
  std::string escaped = absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
  // HTML does not allow control characters.
  for (char& c : escaped) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  return escaped;
}

std::string NumberText(double value) {
  if (!std::isfinite(value)) return "-";
  const double magnitude = std::abs(value);
  if (magnitude >= 1e6) return absl::StrFormat("%.4gM", value / 1e6);
  if (magnitude >= 1e4) return absl::StrFormat("%.4gk", value / 1e3);
  return absl::StrFormat("%.4g", value);
}

std::string UnitText(double value, Unit unit) {
  if (!std::isfinite(value)) return "-";
  if (value == 0) return "0";
  switch (unit) {
    case Unit::kMilliseconds:
      return MillisecondsText(value);
    case Unit::kSeconds:
      return absl::StrCat(ThreeDigits(value), " s");
    case Unit::kPercent:
      return absl::StrCat(ThreeDigits(value), "%");
    case Unit::kPerSecond:
      return absl::StrCat(std::abs(value) < 1e4 ? ThreeDigits(value) : NumberText(value), "/s");
    case Unit::kTimes:
      return absl::StrCat(ThreeDigits(value), "×");
    case Unit::kNone:
      break;
  }
  return NumberText(value);
}

}  // namespace qkserve
