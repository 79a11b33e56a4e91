#include "tools/qkctl/commands/load_options.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "formats/tensor_file.h"

namespace qkserve {
namespace {

// The most loads that a range can ask for.
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

constexpr double kFirstPeakRate = 100;
constexpr LatencyLimit kPeakLimit = {99, absl::Milliseconds(50)};
constexpr absl::Duration kPeakStep = absl::Seconds(3);
constexpr absl::Duration kPeakWarmUp = absl::Milliseconds(500);

void AddPaceAndReportFlags(LoadCommandOptions& options, Flags& flags) {
  flags.BeginGroup("Pace", Flags::Variables::kNone);
  flags.Add("concurrency", &options.concurrency,
            "Closed loop: callers, 1 to 10000. Each sends its next request when the last one is "
            "answered. FROM:TO:xFACTOR or FROM:TO:STEP runs several loads, one after the other");
  flags.Add(
      "rate", &options.rate,
      "Open loop: requests a second, even if the server does not keep up. FROM:TO changes the "
      "rate over the duration");
  flags.Add("arrivals", &options.arrivals,
            "Open loop: when requests are sent: poisson (the default), as independent users send, "
            "or constant");
  flags.Add("in_flight_max", &options.in_flight_max,
            "Open loop: most requests in flight, 10000 unless given. Further requests are sent "
            "late, and their wait counts");
  flags.Add("duration", &options.duration,
            "How long each load sends: 10s unless given. Each step of --find_peak: 3s, or 20 times "
            "the latency limit if that is longer");
  flags.Add("warm_up", &options.warm_up,
            "How long to send before that without counting: not at all unless given, 500ms before "
            "each step of --find_peak");
  flags.Add("find_peak", &options.find_peak,
            "Search for the highest rate that holds --latency_limit, beginning at --rate (100)");
  flags.Add("latency_limit", &options.latency_limit,
            "Limit for --find_peak: a percentile of response times, p99:50ms unless given");
  flags.Add("attempts", &options.attempts,
            "Attempts for each request, up to 5. More than 1 retries as the client library does, "
            "which hides failures; the report counts the retries");

  flags.BeginGroup("Report", Flags::Variables::kNone);
  flags.Add("verify", &options.verify,
            "Recompute a sample of the answers in float64, and compare answers to the same request "
            "bit for bit");
  flags.Add("allow_errors", &options.allow_errors,
            "Status codes that requests may fail with, separated by commas, or all; other "
            "failures make the exit code 1");
  flags.Add("progress", &options.progress, "Show progress on standard error once a second");
  options.QuestionOptions::AddFlags(flags);
  flags.Add("csv", &options.csv,
            "File for the timeline as comma-separated values; with several loads, a line for each. "
            "-: standard output, which then holds nothing else");
  flags.Add("report", &options.report, "File for a page with charts, FILE.html");
}

}  // namespace

bool ParseFlag(absl::string_view text, WorkloadName* workload, std::string* error) {
  workload->name = std::string(text);
  if (FindStandardWorkload(workload->name) != nullptr) return true;
  *error = absl::StrCat("expected ", StandardWorkloadNames());
  return false;
}

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

void LoadCommandOptions::AddFlags(Flags& flags) {
  flags.BeginGroup("Requests", Flags::Variables::kNone);
  flags.Add(
      "workload", &workload,
      absl::StrCat("A standard workload, which other flags change: ", StandardWorkloadNames()));
  flags.Add("n", &n, "Queries of a request, 16 unless given");
  flags.Add("m", &m, "Keys of a request, 128 unless given; a key set has its own");
  flags.Add("d", &d, "Length of a query and of a key, 64 unless given; a key set has its own");
  flags.Add(
      "dv", &dv,
      "Length of a value; if given, there are values. For inline keys, --workload and --key_sets");
  flags.Add("queries", &queries,
            ".npy or .safetensors file of the queries, [rows,d]; each request takes the "
            "next --n rows");
  AddKeysFlags(flags, &keys, &values);
  AddOutputFlags(flags, &output, &top_k);
  flags.Add("seed", &seed, "Seed of the random queries, keys and values, and of arrivals");

  flags.BeginGroup("Key sets", Flags::Variables::kNone);
  key_set.AddFlags(flags);
  flags.Add("make_key_set", &make_key_set,
            "m,d or m,d,dv: make a key set of m random keys (and values), and remove it at the "
            "end. Its name is that of --key_set, or a new one");
  flags.Add("key_sets", &key_sets,
            "Make this many key sets of --m keys, and remove them at the end; each request "
            "chooses one");
  flags.Add("zipf", &zipf,
            "How skewed that choice is: the share of key set i is in proportion to 1 / i^ZIPF. 0 "
            "unless given: equal shares");
  AddStorageFlag(flags, &storage);

  AddPaceAndReportFlags(*this, flags);
  caller.AddFlags(flags);
}

std::vector<FlagFile> LoadCommandOptions::Inputs() const {
  return {{"queries", FileOfTensorPath(queries)},
          {"keys", FileOfTensorPath(keys)},
          {"values", FileOfTensorPath(values)}};
}

std::vector<FlagFile> LoadCommandOptions::Outputs() const {
  return {{"json", json}, {"csv", csv}, {"report", report}};
}

LoadKeys LoadCommandOptions::KeysFrom() const {
  if (make_key_set.has_value() || key_sets.has_value()) return LoadKeys::kMade;
  if (!key_set.name.empty()) return LoadKeys::kForeign;
  const LoadWorkload* const standard = FindStandardWorkload(workload.name);
  return standard != nullptr && standard->resident ? LoadKeys::kMade : LoadKeys::kInline;
}

LoadWorkload LoadCommandOptions::Workload() const {
  const LoadWorkload* const standard = FindStandardWorkload(workload.name);
  LoadWorkload result = standard == nullptr ? LoadWorkload() : *standard;
  result.n = n.value_or(result.n);
  result.m = m.value_or(result.m);
  result.d = d.value_or(result.d);
  if (dv.has_value()) result.dv = dv;
  if (make_key_set.has_value()) {
    result.m = make_key_set->m;
    result.d = make_key_set->d;
    result.dv = make_key_set->dv;
    result.key_sets = 1;
  }
  result.output = output.value_or(result.output);
  if (result.output != Output::kTopK) result.top_k = 0;
  result.top_k = top_k.value_or(result.top_k);
  result.key_sets = key_sets.value_or(result.key_sets);
  result.zipf = zipf.value_or(result.zipf);
  result.resident = KeysFrom() != LoadKeys::kInline;
  // An existing key set is used alone, even if the standard workload makes several sets.
  if (KeysFrom() == LoadKeys::kForeign) result.key_sets = 1;
  return result;
}

std::optional<LatencyLimit> LoadCommandOptions::PeakLimit() const {
  if (!find_peak) return std::nullopt;
  return latency_limit.value_or(kPeakLimit);
}

std::vector<LoadOptions> LoadCommandOptions::Loads() const {
  const std::optional<LatencyLimit> limit = PeakLimit();
  LoadOptions options;
  options.arrivals = arrivals.value_or(Arrivals::kPoisson);
  options.in_flight_max = in_flight_max.value_or(options.in_flight_max);
  options.warm_up = warm_up.value_or(limit.has_value() ? kPeakWarmUp : absl::ZeroDuration());
  options.duration = duration.value_or(limit.has_value() ? std::max(kPeakStep, ShortestStep(*limit))
                                                         : options.duration);
  options.timeout = connection.timeout;
  options.attempts = attempts;
  options.seed = static_cast<uint64_t>(seed);
  if (limit.has_value()) options.latency_limit = limit->latency;
  if (IsOpenLoop()) {
    const RateRange range = rate.value_or(RateRange{kFirstPeakRate, kFirstPeakRate});
    options.rate_from = range.from;
    options.rate_to = range.to;
    return {options};
  }
  std::vector<LoadOptions> loads;
  for (const int callers : concurrency.values) {
    options.concurrency = callers;
    loads.push_back(options);
  }
  return loads;
}

StatusCodes LoadCommandOptions::AllowedErrors() const {
  StatusCodes allowed = allow_errors.value_or(StatusCodes());
  if (find_peak) allowed.codes.insert(kOverloadCodes.begin(), kOverloadCodes.end());
  return allowed;
}

}  // namespace qkserve
