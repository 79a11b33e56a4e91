#include "tools/qkctl/flags/load_flag_types.h"

#include <cmath>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
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

std::string RateText(double rate) { return absl::StrCat(rate); }

}  // namespace

bool AbslParseFlag(absl::string_view text, ConcurrencyFlag* flag, std::string* error) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  int single = 0;
  if (parts.size() == 1 && absl::SimpleAtoi(text, &single)) {
    *flag = {std::string(text), {single}};
    return true;
  }
  if (parts.size() == 3 && ParseRange(parts[0], parts[1], parts[2], &flag->values)) {
    flag->text = std::string(text);
    return true;
  }
  *error = "expected a number, FROM:TO:xFACTOR (1:256:x2) or FROM:TO:STEP, of 100 values at most";
  return false;
}

std::string AbslUnparseFlag(const ConcurrencyFlag& flag) { return flag.text; }

bool AbslParseFlag(absl::string_view text, RateFlag* flag, std::string* error) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits(':', 1));
  const bool ramps = parts.first.size() < text.size();
  if (ParseRate(parts.first, &flag->from) && (!ramps || ParseRate(parts.second, &flag->to))) {
    if (!ramps) flag->to = flag->from;
    return true;
  }
  *error = "expected requests a second, or FROM:TO";
  return false;
}

std::string AbslUnparseFlag(const RateFlag& flag) {
  return flag.from == flag.to ? RateText(flag.from)
                              : absl::StrCat(RateText(flag.from), ":", RateText(flag.to));
}

bool AbslParseFlag(absl::string_view text, ArrivalsFlag* flag, std::string* error) {
  if (text != "poisson" && text != "constant") {
    *error = "expected poisson or constant";
    return false;
  }
  flag->value = text == "poisson" ? Arrivals::kPoisson : Arrivals::kConstant;
  return true;
}

std::string AbslUnparseFlag(const ArrivalsFlag& flag) {
  return flag.value == Arrivals::kPoisson ? "poisson" : "constant";
}

bool AbslParseFlag(absl::string_view text, LatencyLimitFlag* flag, std::string* error) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits(':', 1));
  absl::string_view percentile = parts.first;
  if (absl::ConsumePrefix(&percentile, "p") &&
      absl::SimpleAtod(percentile, &flag->value.percentile) && flag->value.percentile > 0 &&
      flag->value.percentile < 100 && absl::ParseDuration(parts.second, &flag->value.latency) &&
      flag->value.latency > absl::ZeroDuration()) {
    return true;
  }
  *error = "expected a percentile and a time, as p99:50ms";
  return false;
}

std::string AbslUnparseFlag(const LatencyLimitFlag& flag) {
  return absl::StrCat("p", flag.value.percentile, ":", absl::FormatDuration(flag.value.latency));
}

bool AbslParseFlag(absl::string_view text, StatusCodesFlag* flag, std::string* error) {
  *flag = {};
  for (const absl::string_view part : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const std::string name = absl::AsciiStrToUpper(part);
    bool known = name == "ALL";
    flag->all |= known;
    for (int code = 1; code <= 16 && !known; ++code) {
      known = absl::StatusCodeToString(static_cast<absl::StatusCode>(code)) == name;
      if (known) flag->codes.insert(static_cast<absl::StatusCode>(code));
    }
    if (known) continue;
    *error = absl::StrCat("'", part,
                          "' is no status code; expected names with commas between them, "
                          "as RESOURCE_EXHAUSTED, or all");
    return false;
  }
  return true;
}

std::string AbslUnparseFlag(const StatusCodesFlag& flag) {
  if (flag.all) return "all";
  return absl::StrJoin(flag.codes, ",", [](std::string* out, absl::StatusCode code) {
    absl::StrAppend(out, absl::StatusCodeToString(code));
  });
}

}  // namespace qkserve
