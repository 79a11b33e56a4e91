// Defines LoadCommandOptions::Validate of load_options.h.

#include <cstdint>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "client/retry_policy.h"
#include "tools/qkctl/commands/load_options.h"

namespace qkserve {
namespace {

constexpr int kConcurrencyMax = 10'000;
constexpr double kRateMax = 10e6;
constexpr int64_t kInFlightMax = 1'000'000;
constexpr int kKeySetsMax = 1000;

absl::Status CheckPace(const LoadCommandOptions& options) {
  const bool is_open = options.IsOpenLoop();
  const RateRange rate = options.rate.value_or(RateRange{1, 1});
  const absl::Duration duration = options.duration.value_or(absl::InfiniteDuration());
  const absl::Duration shortest = ShortestStep(options.PeakLimit().value_or(LatencyLimit{99, {}}));
  const absl::Duration warm_up = options.warm_up.value_or(absl::ZeroDuration());
  for (const int value : options.concurrency.values) {
    RETURN_IF_ERROR(
        CheckUsage({OutOfRange("concurrency", std::optional(value), 1, kConcurrencyMax)}));
  }
  return CheckUsage(
      {{is_open && options.concurrency.text != ConcurrencyValues().text,
        "--concurrency is for a closed loop; --rate and --find_peak are an open one"},
       {rate.from < 0 || rate.to < 0 || rate.from + rate.to <= 0 || rate.from > kRateMax ||
            rate.to > kRateMax,
        absl::StrCat("--rate must be positive and at most ", kRateMax, "; was ", FlagText(rate))},
       {options.find_peak && rate.from != rate.to, "--find_peak begins at one --rate"},
       OutOfRange("attempts", std::optional(options.attempts), 1, kAttemptsMaxMax),
       OutOfRange("in_flight_max", options.in_flight_max, 1, kInFlightMax),
       {!is_open && (options.in_flight_max.has_value() || options.arrivals.has_value()),
        "--arrivals and --in_flight_max are for an open loop; see --rate and --find_peak"},
       {!options.find_peak && options.latency_limit.has_value(),
        "--latency_limit is for --find_peak"},
       {duration <= absl::ZeroDuration(),
        absl::StrCat("--duration must be positive; was ", absl::FormatDuration(duration))},
       {duration < shortest,
        absl::StrCat("--duration must be 20 times the latency limit at least, or a backlog that "
                     "grows would hold it: ",
                     absl::FormatDuration(shortest), "; was ", absl::FormatDuration(duration))},
       {warm_up < absl::ZeroDuration(),
        absl::StrCat("--warm_up must not be negative; was ", absl::FormatDuration(warm_up))}});
}

absl::Status CheckKeys(const LoadCommandOptions& options) {
  const LoadWorkload workload = options.Workload();
  const bool is_foreign = options.KeysFrom() == LoadKeys::kForeign;
  const bool is_made = options.KeysFrom() == LoadKeys::kMade;
  const bool makes_one = options.make_key_set.has_value();
  const bool has_sizes = options.m.has_value() || options.d.has_value() || options.dv.has_value();
  const bool has_file = !options.keys.empty();
  // If keys come from a file, the values of a standard workload do not count.
  const bool has_values = !options.values.empty() || (workload.dv.has_value() && !has_file);
  const bool is_context = workload.output == Output::kContext;
  return CheckUsage(
      {OutOfRange("key_sets", options.key_sets, 1, kKeySetsMax),
       OutOfRange("zipf", options.zipf, 0, 100),
       {options.zipf.has_value() && workload.key_sets < 2,
        "--zipf is for several key sets; see --key_sets"},
       // The next three rows refuse options that give keys or sizes that another option gives.
       {is_foreign && has_sizes,
        "--m, --d and --dv are for keys that are made; the key set of --key_set has its own"},
       {makes_one && (has_sizes || options.key_sets.has_value()),
        "--make_key_set makes one key set of its sizes; without --m, --d, --dv, --key_sets"},
       {has_file && (makes_one || has_sizes || is_foreign),
        "--keys is a file, whose sizes count; without --m, --d, --dv, --make_key_set and "
        "--key_set"},
       {!options.values.empty() && !has_file, "--values requires --keys"},
       {is_context && !is_foreign && !has_values,
        "--output=context requires a key set with values, --dv, or --keys and --values"},
       {!is_context && !is_foreign && !is_made && has_values,
        "--dv and --values are for --output=context, or for key sets"},
       {!is_made && options.storage.has_value(),
        "--storage is for --make_key_set, --key_sets and resident workloads"},
       {is_made && options.key_set.version.has_value(),
        "--key_set_version: the server numbers what is made"},
       {!options.key_set.name.empty() && workload.key_sets > 1,
        "--key_set names one key set, and --key_sets makes several"},
       options.key_set.VersionWithoutName(),
       {!options.report.empty() && !absl::EndsWith(options.report, ".html"),
        absl::StrCat("--report is a page: expected FILE.html, got ", options.report)}});
}

absl::Status CheckRequests(const LoadCommandOptions& options) {
  const LoadWorkload workload = options.Workload();
  const bool brings_top_k = workload.output == Output::kTopK && workload.top_k > 0;
  RETURN_IF_ERROR(CheckTopK(workload.output, brings_top_k ? workload.top_k : options.top_k));
  // If this is false, the sizes come from the server or from a file.
  const bool sizes_are_known =
      options.KeysFrom() != LoadKeys::kForeign && options.keys.empty() && options.queries.empty();
  return sizes_are_known ? CheckSizes(workload, options.connection.client.message_bytes_max)
                         : absl::OkStatus();
}

}  // namespace

absl::Status LoadCommandOptions::Validate() const {
  RETURN_IF_ERROR(CheckPace(*this));
  RETURN_IF_ERROR(CheckKeys(*this));
  RETURN_IF_ERROR(caller.Validate());
  return CheckRequests(*this);
}

}  // namespace qkserve
