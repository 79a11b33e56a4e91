#include "tools/qkctl/commands/load_options.h"

#include <algorithm>

#include "tools/qkctl/output/answer.h"

namespace qkserve {
namespace {

constexpr double kFirstPeakRate = 100;
constexpr LatencyLimit kPeakLimit = {99, absl::Milliseconds(50)};
constexpr absl::Duration kPeakStep = absl::Seconds(3);
constexpr absl::Duration kPeakWarmUp = absl::Milliseconds(500);

void AddRequestFlags(LoadCommandOptions& options, Flags& flags) {
  flags.BeginGroup("Requests");
  flags.Add("workload", &options.workload,
            "A standard workload: inline-small, inline-large, inline-square, resident-row, "
            "resident-top, resident-context, resident-mixed or resident-heavy. Other flags change "
            "it");
  flags.Add("n", &options.n, "Queries of a request, 16 unless given");
  flags.Add("m", &options.m, "Keys of a request, 128 unless given; a key set has its own");
  flags.Add("d", &options.d,
            "Length of a query and of a key, 64 unless given; a key set has its own");
  flags.Add("dv", &options.dv,
            "Length of a value: there are values. With inline keys, --workload and --key_sets");
  flags.Add("queries", &options.queries,
            ".npy or .safetensors file of the queries, [rows, d]; requests take --n of them in "
            "turn");
  AddKeysFlags(flags, &options.keys, &options.values);
  AddOutputFlags(flags, &options.output, &options.top_k);
  flags.Add("seed", &options.seed, "Seed of the random queries, keys and values, and of arrivals");
}

void AddKeySetFlags(LoadCommandOptions& options, Flags& flags) {
  flags.BeginGroup("Key sets");
  options.key_set.AddFlags(flags);
  flags.Add("make_key_set", &options.make_key_set,
            "m,d or m,d,dv: make a key set of m random keys (and values), and remove it at the "
            "end. Its name is --key_set, or one that no other has");
  flags.Add("key_sets", &options.key_sets,
            "Make this many key sets of --m keys, and remove them at the end; requests choose "
            "between them");
  flags.Add("zipf", &options.zipf,
            "How skewed that choice is: key set i in proportion to 1 / i^ZIPF. 0, evenly, unless "
            "given");
  AddStorageFlag(flags, &options.storage);
}

void AddPaceFlags(LoadCommandOptions& options, Flags& flags) {
  flags.BeginGroup("Pace");
  flags.Add("concurrency", &options.concurrency,
            "Closed loop: callers who each send when their last request is answered, from 1 to "
            "10000. FROM:TO:xFACTOR runs one after the other");
  flags.Add("rate", &options.rate,
            "Open loop: requests a second, even if the server does not keep up. FROM:TO changes it "
            "over the duration");
  flags.Add("arrivals", &options.arrivals,
            "Open loop: when requests come: poisson, as from independent users, unless given, or "
            "constant");
  flags.Add("in_flight_max", &options.in_flight_max,
            "Open loop: requests in flight at most, 10000 unless given. What is due beyond is sent "
            "late, and its wait counts");
  flags.Add("duration", &options.duration,
            "How long to send, each load: 10s unless given; for the steps of --find_peak 3s, or 20 "
            "times the latency limit");
  flags.Add("warm_up", &options.warm_up,
            "How long to send before that without counting: not at all unless given, 500ms before "
            "the steps of --find_peak");
  flags.Add("find_peak", &options.find_peak,
            "Search the highest rate that holds --latency_limit, beginning at --rate (100)");
  flags.Add("latency_limit", &options.latency_limit,
            "What --find_peak is to hold: a percentile of response times, p99:50ms unless given");
}

void AddReportFlags(LoadCommandOptions& options, Flags& flags) {
  flags.BeginGroup("Report");
  flags.Add("verify", &options.verify,
            "Recompute a sample of the answers in float64, and compare answers to the same request "
            "bit for bit");
  flags.Add("allow_errors", &options.allow_errors,
            "Status codes that requests may fail with, separated by commas, or all; others make "
            "the exit code 1");
  flags.Add("progress", &options.progress, "Show progress on standard error once a second");
  AddJsonFlag(flags, &options.json);
  flags.Add("csv", &options.csv,
            "File for the timeline as comma-separated values; a line a load where there are "
            "several");
  flags.Add("report", &options.report, "File for a page with charts, FILE.html");
}

}  // namespace

void LoadCommandOptions::AddFlags(Flags& flags) {
  AddRequestFlags(*this, flags);
  AddKeySetFlags(*this, flags);
  AddPaceFlags(*this, flags);
  AddReportFlags(*this, flags);
  connection.AddFlags(flags);
}

LoadKeys LoadCommandOptions::KeysFrom() const {
  if (make_key_set.has_value() || key_sets.has_value()) return LoadKeys::kMade;
  if (!key_set.name.empty()) return LoadKeys::kForeign;
  const LoadWorkload* const standard = FindStandardWorkload(workload);
  return standard != nullptr && standard->resident ? LoadKeys::kMade : LoadKeys::kInline;
}

LoadWorkload LoadCommandOptions::Workload() const {
  const LoadWorkload* const standard = FindStandardWorkload(workload);
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
  // One that is there, in place of those that the standard workload would have.
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
