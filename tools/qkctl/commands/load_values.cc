#include "tools/qkctl/commands/load_values.h"

#include <cmath>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace qkserve {
namespace {

// A range is no way to ask for millions of runs.
constexpr size_t kValuesMax = 100;

bool ParseRange(absl::string_view from_text, absl::string_view to_text, absl::string_view step_text,
                std::vector<int>* values) {
  int from = 0, to = 0, step = 0;
  const bool multiplies = absl::ConsumePrefix(&step_text, "x");
  if (!absl::SimpleAtoi(from_text, &from) || !absl::SimpleAtoi(to_text, &to) ||
      !absl::SimpleAtoi(step_text, &step) || step < (multiplies ? 2 : 1) || from < 1 || to < from) {
    return false;
  }
  values->clear();
  for (int64_t value = from; value <= to; value = multiplies ? value * step : value + step) {
    if (values->size() == kValuesMax) return false;
    values->push_back(static_cast<int>(value));
  }
  return true;
}

bool ParseRate(absl::string_view text, double* rate) {
  return absl::SimpleAtod(text, rate) && std::isfinite(*rate);
}

}  // namespace

bool ParseFlag(absl::string_view text, ConcurrencyValues* concurrency, std::string* error) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  int single = 0;
  if (parts.size() == 1 && absl::SimpleAtoi(text, &single)) {
    *concurrency = {std::string(text), {single}};
    return true;
  }
  if (parts.size() == 3 && ParseRange(parts[0], parts[1], parts[2], &concurrency->values)) {
    concurrency->text = std::string(text);
    return true;
  }
  *error = "expected a number, FROM:TO:xFACTOR (1:256:x2) or FROM:TO:STEP, of 100 values at most";
  return false;
}

std::string FlagText(const ConcurrencyValues& concurrency) { return concurrency.text; }

bool ParseFlag(absl::string_view text, RateRange* rate, std::string* error) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits(':', 1));
  const bool ramps = parts.first.size() < text.size();
  if (ParseRate(parts.first, &rate->from) && (!ramps || ParseRate(parts.second, &rate->to))) {
    if (!ramps) rate->to = rate->from;
    return true;
  }
  *error = "expected requests a second, or FROM:TO";
  return false;
}

std::string FlagText(const RateRange& rate) {
  return rate.from == rate.to ? absl::StrCat(rate.from) : absl::StrCat(rate.from, ":", rate.to);
}

bool ParseFlag(absl::string_view text, Arrivals* arrivals, std::string* error) {
  if (text != "poisson" && text != "constant") {
    *error = "expected poisson or constant";
    return false;
  }
  *arrivals = text == "poisson" ? Arrivals::kPoisson : Arrivals::kConstant;
  return true;
}

bool ParseFlag(absl::string_view text, LatencyLimit* limit, std::string* error) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits(':', 1));
  absl::string_view percentile = parts.first;
  if (absl::ConsumePrefix(&percentile, "p") && absl::SimpleAtod(percentile, &limit->percentile) &&
      limit->percentile > 0 && limit->percentile < 100 &&
      absl::ParseDuration(parts.second, &limit->latency) && limit->latency > absl::ZeroDuration()) {
    return true;
  }
  *error = "expected a percentile and a time, as p99:50ms";
  return false;
}

bool ParseFlag(absl::string_view text, StatusCodes* codes, std::string* error) {
  *codes = {};
  for (const absl::string_view part : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const std::string name = absl::AsciiStrToUpper(part);
    bool known = name == "ALL";
    codes->all |= known;
    for (int code = 1; code <= 16 && !known; ++code) {
      known = absl::StatusCodeToString(static_cast<absl::StatusCode>(code)) == name;
      if (known) codes->codes.insert(static_cast<absl::StatusCode>(code));
    }
    if (known) continue;
    *error = absl::StrCat("'", part,
                          "' is no status code; expected names with commas between them, "
                          "as RESOURCE_EXHAUSTED, or all");
    return false;
  }
  return true;
}

}  // namespace qkserve
