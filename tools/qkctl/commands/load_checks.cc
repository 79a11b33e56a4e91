// LoadCommandOptions::Validate of load_options.h.

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "tools/qkctl/commands/load_options.h"

namespace qkserve {
namespace {

constexpr int kConcurrencyMax = 10'000;
constexpr double kRateMax = 10e6;
constexpr int64_t kInFlightMax = 1'000'000;
constexpr int kKeySetsMax = 1000;

absl::Status WrongUsage(const std::string& message) { return absl::InvalidArgumentError(message); }

absl::Status CheckClosedLoop(const LoadCommandOptions& options) {
  for (const int value : options.concurrency.values) {
    if (value < 1 || value > kConcurrencyMax) {
      return WrongUsage(
          absl::StrCat("--concurrency must be from 1 to ", kConcurrencyMax, "; was ", value));
    }
  }
  if (options.IsOpenLoop() && options.concurrency.text != ConcurrencyValues().text) {
    return WrongUsage("--concurrency is for a closed loop; --rate and --find_peak are an open one");
  }
  return absl::OkStatus();
}

absl::Status CheckOpenLoop(const LoadCommandOptions& options) {
  const std::optional<RateRange>& rate = options.rate;
  if (rate.has_value() && (rate->from < 0 || rate->to < 0 || rate->from + rate->to <= 0 ||
                           rate->from > kRateMax || rate->to > kRateMax)) {
    return WrongUsage(
        absl::StrCat("--rate must be positive and at most ", kRateMax, "; was ", FlagText(*rate)));
  }
  if (options.find_peak && rate.has_value() && rate->from != rate->to) {
    return WrongUsage("--find_peak begins at one --rate");
  }
  const std::optional<int64_t> in_flight = options.in_flight_max;
  if (in_flight.has_value() && (*in_flight < 1 || *in_flight > kInFlightMax)) {
    return WrongUsage(
        absl::StrCat("--in_flight_max must be from 1 to ", kInFlightMax, "; was ", *in_flight));
  }
  if (!options.IsOpenLoop() && (in_flight.has_value() || options.arrivals.has_value())) {
    return WrongUsage(
        "--arrivals and --in_flight_max are for an open loop; see --rate and --find_peak");
  }
  if (!options.find_peak && options.latency_limit.has_value()) {
    return WrongUsage("--latency_limit is for --find_peak");
  }
  return absl::OkStatus();
}

absl::Status CheckTimes(const LoadCommandOptions& options) {
  const std::optional<absl::Duration> duration = options.duration;
  if (duration.has_value() && *duration <= absl::ZeroDuration()) {
    return WrongUsage(
        absl::StrCat("--duration must be positive; was ", absl::FormatDuration(*duration)));
  }
  const std::optional<LatencyLimit> limit = options.PeakLimit();
  if (limit.has_value() && duration.has_value() && *duration < ShortestStep(*limit)) {
    return WrongUsage(absl::StrCat(
        "--duration must be 20 times the latency limit at least, or a backlog "
        "that grows would hold it: ",
        absl::FormatDuration(ShortestStep(*limit)), "; was ", absl::FormatDuration(*duration)));
  }
  const std::optional<absl::Duration> warm_up = options.warm_up;
  if (warm_up.has_value() && *warm_up < absl::ZeroDuration()) {
    return WrongUsage(
        absl::StrCat("--warm_up must not be negative; was ", absl::FormatDuration(*warm_up)));
  }
  return absl::OkStatus();
}

absl::Status CheckWorkload(const LoadCommandOptions& options) {
  if (!options.workload.empty() && FindStandardWorkload(options.workload) == nullptr) {
    const auto append_name = [](std::string* out, const LoadWorkload& workload) {
      absl::StrAppend(out, workload.name);
    };
    return WrongUsage(absl::StrCat("--workload: unknown '", options.workload, "'; there are ",
                                   absl::StrJoin(StandardWorkloads(), ", ", append_name)));
  }
  const std::optional<int> key_sets = options.key_sets;
  if (key_sets.has_value() && (*key_sets < 1 || *key_sets > kKeySetsMax)) {
    return WrongUsage(
        absl::StrCat("--key_sets must be from 1 to ", kKeySetsMax, "; was ", *key_sets));
  }
  const double zipf = options.zipf.value_or(0);
  if (!(zipf >= 0 && zipf <= 100)) {
    return WrongUsage(absl::StrCat("--zipf must be from 0 to 100; was ", zipf));
  }
  if (options.zipf.has_value() && options.Workload().key_sets < 2) {
    return WrongUsage("--zipf is for several key sets; see --key_sets");
  }
  return absl::OkStatus();
}

// Sizes that are given twice, or for keys that have their own.
absl::Status CheckSizesOfKeys(const LoadCommandOptions& options) {
  const bool has_sizes = options.m.has_value() || options.d.has_value() || options.dv.has_value();
  const bool is_foreign = options.KeysFrom() == LoadKeys::kForeign;
  const bool makes_one = options.make_key_set.has_value();
  if (is_foreign && has_sizes) {
    return WrongUsage(
        "--m, --d and --dv are for keys that are made; the key set of --key_set has its own");
  }
  if (makes_one && (has_sizes || options.key_sets.has_value())) {
    return WrongUsage(
        "--make_key_set makes one key set of its sizes; without --m, --d, --dv, --key_sets");
  }
  if (!options.keys.empty() && (makes_one || has_sizes || is_foreign)) {
    return WrongUsage(
        "--keys is a file, whose sizes count; without --m, --d, --dv, --make_key_set and "
        "--key_set");
  }
  return absl::OkStatus();
}

absl::Status CheckValues(const LoadCommandOptions& options) {
  const bool has_values = !options.values.empty();
  if (has_values && options.keys.empty()) return WrongUsage("--values requires --keys");
  const LoadKeys keys = options.KeysFrom();
  const LoadWorkload workload = options.Workload();
  // With keys from a file a standard workload has no values of its own.
  const bool has_dv = workload.dv.has_value() && options.keys.empty();
  const bool is_context = workload.output == Output::kContext;
  if (is_context && keys != LoadKeys::kForeign && !has_dv && !has_values) {
    return WrongUsage(
        "--output=context requires a key set with values, --dv, or --keys and "
        "--values");
  }
  if (!is_context && keys == LoadKeys::kInline && (has_dv || has_values)) {
    return WrongUsage("--dv and --values are for --output=context, or for key sets");
  }
  return absl::OkStatus();
}

absl::Status CheckKeySets(const LoadCommandOptions& options) {
  const LoadKeys keys = options.KeysFrom();
  if (keys != LoadKeys::kMade && options.storage.has_value()) {
    return WrongUsage("--storage is for --make_key_set, --key_sets and resident workloads");
  }
  if (keys == LoadKeys::kMade && options.key_set.version.has_value()) {
    return WrongUsage("--key_set_version: the server numbers what is made");
  }
  if (!options.key_set.name.empty() && options.Workload().key_sets > 1) {
    return WrongUsage("--key_set names one key set, and --key_sets makes several");
  }
  return options.key_set.Validate();
}

absl::Status CheckRequests(const LoadCommandOptions& options) {
  const LoadWorkload workload = options.Workload();
  const bool brings_top_k = workload.output == Output::kTopK && workload.top_k > 0;
  absl::Status status = CheckTopK(workload.output, brings_top_k ? workload.top_k : options.top_k);
  if (!status.ok()) return status;
  // Otherwise the server, or a file, knows the sizes.
  const bool sizes_are_known =
      options.KeysFrom() != LoadKeys::kForeign && options.keys.empty() && options.queries.empty();
  return sizes_are_known ? CheckSizes(workload, options.connection.client.message_bytes_max)
                         : absl::OkStatus();
}

absl::Status CheckReport(const LoadCommandOptions& options) {
  if (options.report.empty() || absl::EndsWith(options.report, ".html")) return absl::OkStatus();
  return WrongUsage(absl::StrCat("--report is a page: expected FILE.html, got ", options.report));
}

}  // namespace

absl::Status LoadCommandOptions::Validate() const {
  absl::Status status = connection.Validate();
  for (const auto check :
       {&CheckClosedLoop, &CheckOpenLoop, &CheckTimes, &CheckWorkload, &CheckSizesOfKeys,
        &CheckValues, &CheckKeySets, &CheckReport, &CheckRequests}) {
    if (!status.ok()) return status;
    status = check(*this);
  }
  return status;
}

}  // namespace qkserve
