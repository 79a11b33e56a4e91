#include "tools/qkctl/flags/load_flags.h"

#include <algorithm>
#include <cstdint>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "tools/qkctl/flags/key_set_flags.h"
#include "tools/qkctl/flags/output_flags.h"
#include "tools/qkctl/flags/queries_flag.h"
#include "tools/qkctl/flags/shared_flags.h"
#include "tools/qkctl/flags/storage_flag.h"
#include "tools/qkctl/flags/tensor_flags.h"
#include "tools/qkctl/input/made_key_set.h"

ABSL_FLAG(
    std::string, workload, "",
    "A standard workload: inline-small, inline-large, inline-square, resident-row, "
    "resident-top, resident-context, resident-mixed or resident-heavy. Flags below change it");
ABSL_FLAG(std::optional<int64_t>, n, std::nullopt, "Queries of a request, 16 unless given");
ABSL_FLAG(std::optional<int64_t>, m, std::nullopt,
          "Keys of a request, 128 unless given; a key set has its own");
ABSL_FLAG(std::optional<int64_t>, d, std::nullopt,
          "Length of a query and of a key, 64 unless given; a key set has its own");
ABSL_FLAG(std::optional<int64_t>, dv, std::nullopt,
          "Length of a value: there are values. With inline keys, --workload and --key_sets");
ABSL_FLAG(std::optional<qkserve::MakeKeySetFlag>, make_key_set, std::nullopt,
          "m,d or m,d,dv: make a key set of m random keys (and values), and remove it at the end. "
          "It is named --key_set, or as nobody else's");
ABSL_FLAG(std::optional<int32_t>, key_sets, std::nullopt,
          "Make so many key sets of --m keys, and remove them at the end; requests choose between "
          "them");
ABSL_FLAG(std::optional<double>, zipf, std::nullopt,
          "How skewed that choice is: key set i in proportion to 1 / i^ZIPF. 0, evenly, unless "
          "given");
ABSL_FLAG(int64_t, seed, 1, "Seed of the random queries, keys and values, and of arrivals");

ABSL_FLAG(
    qkserve::ConcurrencyFlag, concurrency, {},
    "Closed loop: callers who each send when their last request is answered, from 1 to 10000. "
    "FROM:TO:xFACTOR runs one after the other");
ABSL_FLAG(std::optional<qkserve::RateFlag>, rate, std::nullopt,
          "Open loop: requests a second, whether the server keeps up or not. FROM:TO changes it "
          "over the duration");
ABSL_FLAG(std::optional<qkserve::ArrivalsFlag>, arrivals, std::nullopt,
          "Open loop: when requests come: poisson, as from independent users, unless given, or "
          "constant");
ABSL_FLAG(std::optional<absl::Duration>, duration, std::nullopt,
          "How long to send, each load: 10s unless given; for the steps of --find_peak 3s, or 20 "
          "times the latency limit");
ABSL_FLAG(std::optional<absl::Duration>, warm_up, std::nullopt,
          "Send so long before, without counting: not at all unless given, 500ms before the steps "
          "of --find_peak");
ABSL_FLAG(std::optional<int64_t>, in_flight_max, std::nullopt,
          "Open loop: requests in flight at most, 10000 unless given. What is due beyond is sent "
          "late, and its wait counts");
ABSL_FLAG(bool, find_peak, false,
          "Search the highest rate that holds --latency_limit, from --rate (100) on");
ABSL_FLAG(std::optional<qkserve::LatencyLimitFlag>, latency_limit, std::nullopt,
          "What --find_peak is to hold: a percentile of response times, p99:50ms unless given");
ABSL_FLAG(bool, verify, false,
          "Recompute a sample of the answers in float64, and compare answers to the same request "
          "bit for bit");
ABSL_FLAG(qkserve::StatusCodesFlag, allow_errors, {},
          "Status codes that requests may fail with, separated by commas, or all; others make the "
          "exit code 1");
ABSL_FLAG(bool, progress, true, "Tell once a second on standard error how it goes");
ABSL_FLAG(std::string, csv, "",
          "File for the timeline as comma-separated values; a line a load where there are several");
ABSL_FLAG(std::string, report, "", "File for a page with charts, FILE.html");

namespace qkserve {
namespace {

constexpr double kFirstPeakRate = 100;
constexpr LatencyLimit kPeakLimit = {99, absl::Milliseconds(50)};
constexpr absl::Duration kPeakStep = absl::Seconds(3);

}  // namespace

bool IsOpenLoop() {
  return absl::GetFlag(FLAGS_rate).has_value() || absl::GetFlag(FLAGS_find_peak);
}

LoadKeys LoadKeysFromFlags() {
  if (absl::GetFlag(FLAGS_make_key_set).has_value() || absl::GetFlag(FLAGS_key_sets).has_value()) {
    return LoadKeys::kMade;
  }
  if (!absl::GetFlag(FLAGS_key_set).empty()) return LoadKeys::kForeign;
  const LoadWorkload* const standard = FindStandardWorkload(absl::GetFlag(FLAGS_workload));
  return standard != nullptr && standard->resident ? LoadKeys::kMade : LoadKeys::kInline;
}

LoadWorkload WorkloadFromFlags() {
  const LoadWorkload* const standard = FindStandardWorkload(absl::GetFlag(FLAGS_workload));
  LoadWorkload workload = standard == nullptr ? LoadWorkload() : *standard;
  workload.n = absl::GetFlag(FLAGS_n).value_or(workload.n);
  workload.m = absl::GetFlag(FLAGS_m).value_or(workload.m);
  workload.d = absl::GetFlag(FLAGS_d).value_or(workload.d);
  if (absl::GetFlag(FLAGS_dv).has_value()) workload.dv = absl::GetFlag(FLAGS_dv);
  if (const std::optional<MakeKeySetFlag> make = absl::GetFlag(FLAGS_make_key_set)) {
    workload.m = make->m;
    workload.d = make->d;
    workload.dv = make->dv;
    workload.key_sets = 1;
  }
  if (absl::GetFlag(FLAGS_output).has_value()) workload.output = OutputFromFlag().value;
  if (workload.output != Output::kTopK) workload.top_k = 0;
  workload.top_k = absl::GetFlag(FLAGS_top_k).value_or(workload.top_k);
  workload.key_sets = absl::GetFlag(FLAGS_key_sets).value_or(workload.key_sets);
  workload.zipf = absl::GetFlag(FLAGS_zipf).value_or(workload.zipf);
  workload.resident = LoadKeysFromFlags() != LoadKeys::kInline;
  // One that is there, in place of those that the standard workload would have.
  if (LoadKeysFromFlags() == LoadKeys::kForeign) workload.key_sets = 1;
  return workload;
}

std::optional<LatencyLimit> PeakLimitFromFlags() {
  if (!absl::GetFlag(FLAGS_find_peak)) return std::nullopt;
  const std::optional<LatencyLimitFlag> limit = absl::GetFlag(FLAGS_latency_limit);
  return limit.has_value() ? limit->value : kPeakLimit;
}

std::vector<LoadOptions> LoadOptionsFromFlags() {
  const std::optional<LatencyLimit> limit = PeakLimitFromFlags();
  LoadOptions options;
  options.arrivals = absl::GetFlag(FLAGS_arrivals).value_or(ArrivalsFlag()).value;
  options.in_flight_max = absl::GetFlag(FLAGS_in_flight_max).value_or(options.in_flight_max);
  options.warm_up =
      absl::GetFlag(FLAGS_warm_up).value_or(absl::Milliseconds(limit.has_value() ? 500 : 0));
  const absl::Duration duration =
      limit.has_value() ? std::max(kPeakStep, ShortestStep(*limit)) : options.duration;
  options.duration = absl::GetFlag(FLAGS_duration).value_or(duration);
  options.timeout = absl::GetFlag(FLAGS_timeout);
  options.seed = static_cast<uint64_t>(absl::GetFlag(FLAGS_seed));
  if (limit.has_value()) options.latency_limit = limit->latency;
  if (IsOpenLoop()) {
    const RateFlag rate =
        absl::GetFlag(FLAGS_rate).value_or(RateFlag{kFirstPeakRate, kFirstPeakRate});
    options.rate_from = rate.from;
    options.rate_to = rate.to;
    return {options};
  }
  std::vector<LoadOptions> all;
  for (const int concurrency : absl::GetFlag(FLAGS_concurrency).values) {
    options.concurrency = concurrency;
    all.push_back(options);
  }
  return all;
}

}  // namespace qkserve
