#include "base/byte_size.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "qkserve/limits.h"

namespace qkserve {
namespace {

struct Unit {
  const char* name;
  int64_t bytes;
};

constexpr Unit kUnits[] = {{"TiB", int64_t{1} << 40}, {"GiB", int64_t{1} << 30},
                           {"MiB", int64_t{1} << 20}, {"KiB", int64_t{1} << 10},
                           {"TB", 1'000'000'000'000}, {"GB", 1'000'000'000},
                           {"MB", 1'000'000},         {"KB", 1'000}};

// True if `text` names the unit. Kubernetes writes binary units without the B.
bool IsUnit(absl::string_view text, const Unit& unit) {
  const absl::string_view name = unit.name;
  return absl::EqualsIgnoreCase(text, name) ||
         (name.size() == 3 && absl::EqualsIgnoreCase(text, name.substr(0, 2)));
}

}  // namespace

bool ParseByteSize(absl::string_view text, int64_t* bytes) {
  text = absl::StripAsciiWhitespace(text);
  const size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  const absl::string_view number = text.substr(0, end);
  const absl::string_view name = absl::StripAsciiWhitespace(text.substr(end));
  const auto* const unit =
      std::find_if(std::begin(kUnits), std::end(kUnits),
                   [name](const Unit& candidate) { return IsUnit(name, candidate); });
  if (unit == std::end(kUnits)) {
    return absl::StartsWith(text, "0x") ? absl::SimpleHexAtoi(text, bytes)
                                        : absl::SimpleAtoi(text, bytes);
  }
  // A double is exact for a size that fits in memory and is a whole number of KB or of a larger
  // unit.
  double count = 0;
  if (!absl::SimpleAtod(number, &count)) return false;
  const double size = std::round(count * static_cast<double>(unit->bytes));
  if (size >= static_cast<double>(std::numeric_limits<int64_t>::max())) return false;
  *bytes = static_cast<int64_t>(size);
  return true;
}

std::string FormatByteSize(int64_t bytes) {
  Unit best = {"", 1};
  for (const Unit& unit : kUnits) {
    if (bytes != 0 && bytes % unit.bytes == 0 && unit.bytes > best.bytes) best = unit;
  }
  return absl::StrCat(bytes / best.bytes, best.name);
}

std::string RoundByteSize(int64_t bytes) {
  static constexpr std::array<const char*, 5> kPowers = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < kKiB) return absl::StrCat(bytes, " B");
  double count = static_cast<double>(bytes) / static_cast<double>(kKiB);
  size_t unit = 0;
  // A count that would be rounded to 1024.0 is shown as 1.0 of the next unit.
  for (; count >= 1023.95 && unit + 1 < kPowers.size(); ++unit) count /= 1024;
  return absl::StrFormat("%.1f %s", count, kPowers[unit]);
}

}  // namespace qkserve
