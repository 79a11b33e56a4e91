// What CheckLoadFlags of load_flags.h refuses.

#include <cstdint>
#include <optional>
#include <string>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "tools/qkctl/flags/key_set_flags.h"
#include "tools/qkctl/flags/load_flags.h"
#include "tools/qkctl/flags/output_flags.h"
#include "tools/qkctl/flags/queries_flag.h"
#include "tools/qkctl/flags/shared_flags.h"
#include "tools/qkctl/flags/storage_flag.h"
#include "tools/qkctl/flags/tensor_flags.h"

namespace qkserve {
namespace {

constexpr int kConcurrencyMax = 10'000;
constexpr double kRateMax = 10e6;
constexpr int64_t kInFlightMax = 1'000'000;
constexpr int kKeySetsMax = 1000;

absl::Status Bad(const std::string& message) { return absl::InvalidArgumentError(message); }

absl::Status CheckPace() {
  const ConcurrencyFlag concurrency = absl::GetFlag(FLAGS_concurrency);
  for (const int value : concurrency.values) {
    if (value < 1 || value > kConcurrencyMax) {
      return Bad(
          absl::StrCat("--concurrency must be from 1 to ", kConcurrencyMax, "; was ", value));
    }
  }
  const std::optional<RateFlag> rate = absl::GetFlag(FLAGS_rate);
  const bool finds_peak = absl::GetFlag(FLAGS_find_peak);
  if (IsOpenLoop() && concurrency.text != ConcurrencyFlag().text) {
    return Bad("--concurrency is for a closed loop; --rate and --find_peak are an open one");
  }
  if (rate.has_value() && (rate->from < 0 || rate->to < 0 || rate->from + rate->to <= 0 ||
                           rate->from > kRateMax || rate->to > kRateMax)) {
    return Bad(absl::StrCat("--rate must be positive and at most ", kRateMax, "; was ",
                            AbslUnparseFlag(*rate)));
  }
  if (finds_peak && rate.has_value() && rate->from != rate->to) {
    return Bad("--find_peak begins at one --rate");
  }
  const std::optional<int64_t> in_flight = absl::GetFlag(FLAGS_in_flight_max);
  if (in_flight.has_value() && (*in_flight < 1 || *in_flight > kInFlightMax)) {
    return Bad(
        absl::StrCat("--in_flight_max must be from 1 to ", kInFlightMax, "; was ", *in_flight));
  }
  if (!IsOpenLoop() && (in_flight.has_value() || absl::GetFlag(FLAGS_arrivals).has_value())) {
    return Bad("--arrivals and --in_flight_max are for an open loop; see --rate and --find_peak");
  }
  if (!finds_peak && absl::GetFlag(FLAGS_latency_limit).has_value()) {
    return Bad("--latency_limit is for --find_peak");
  }
  const std::optional<absl::Duration> duration = absl::GetFlag(FLAGS_duration);
  if (duration.has_value() && *duration <= absl::ZeroDuration()) {
    return Bad(absl::StrCat("--duration must be positive; was ", absl::FormatDuration(*duration)));
  }
  const std::optional<LatencyLimit> limit = PeakLimitFromFlags();
  if (limit.has_value() && duration.has_value() && *duration < ShortestStep(*limit)) {
    return Bad(absl::StrCat(
        "--duration must be 20 times the latency limit at least, or a backlog "
        "that grows would hold it: ",
        absl::FormatDuration(ShortestStep(*limit)), "; was ", absl::FormatDuration(*duration)));
  }
  const std::optional<absl::Duration> warm_up = absl::GetFlag(FLAGS_warm_up);
  if (warm_up.has_value() && *warm_up < absl::ZeroDuration()) {
    return Bad(
        absl::StrCat("--warm_up must not be negative; was ", absl::FormatDuration(*warm_up)));
  }
  return absl::OkStatus();
}

absl::Status CheckWorkload() {
  const std::string name = absl::GetFlag(FLAGS_workload);
  if (!name.empty() && FindStandardWorkload(name) == nullptr) {
    return Bad(absl::StrCat("--workload: unknown '", name, "'; there are ",
                            absl::StrJoin(StandardWorkloads(), ", ",
                                          [](std::string* out, const LoadWorkload& workload) {
                                            absl::StrAppend(out, workload.name);
                                          })));
  }
  const std::optional<int32_t> key_sets = absl::GetFlag(FLAGS_key_sets);
  if (key_sets.has_value() && (*key_sets < 1 || *key_sets > kKeySetsMax)) {
    return Bad(absl::StrCat("--key_sets must be from 1 to ", kKeySetsMax, "; was ", *key_sets));
  }
  const double zipf = absl::GetFlag(FLAGS_zipf).value_or(0);
  if (!(zipf >= 0 && zipf <= 100)) {
    return Bad(absl::StrCat("--zipf must be from 0 to 100; was ", zipf));
  }
  if (absl::GetFlag(FLAGS_zipf).has_value() && WorkloadFromFlags().key_sets < 2) {
    return Bad("--zipf is for several key sets; see --key_sets");
  }
  return absl::OkStatus();
}

// Where the keys come from.
absl::Status CheckKeys() {
  const LoadKeys keys = LoadKeysFromFlags();
  const bool named = !absl::GetFlag(FLAGS_key_set).empty();
  const bool has_sizes = absl::GetFlag(FLAGS_m).has_value() || absl::GetFlag(FLAGS_d).has_value() ||
                         absl::GetFlag(FLAGS_dv).has_value();
  const bool sized = absl::GetFlag(FLAGS_make_key_set).has_value();
  if (keys == LoadKeys::kForeign && has_sizes) {
    return Bad(
        "--m, --d and --dv are for keys that are made; the key set of --key_set has its own");
  }
  if (sized && (has_sizes || absl::GetFlag(FLAGS_key_sets).has_value())) {
    return Bad("--make_key_set makes one key set of its sizes; without --m, --d, --dv, --key_sets");
  }
  const bool has_files = !absl::GetFlag(FLAGS_keys).empty();
  if (has_files && (sized || has_sizes || keys == LoadKeys::kForeign)) {
    return Bad(
        "--keys is a file, whose sizes count; without --m, --d, --dv, --make_key_set and "
        "--key_set");
  }
  if (!absl::GetFlag(FLAGS_values).empty() && !has_files) return Bad("--values requires --keys");
  const LoadWorkload workload = WorkloadFromFlags();
  const bool has_values = !absl::GetFlag(FLAGS_values).empty();
  // The values of a standard workload are none for keys from a file.
  const bool has_dv = workload.dv.has_value() && !has_files;
  if (workload.output == Output::kContext && keys != LoadKeys::kForeign && !has_dv && !has_values) {
    return Bad("--output=context requires a key set with values, --dv, or --keys and --values");
  }
  if (workload.output != Output::kContext && keys == LoadKeys::kInline && (has_dv || has_values)) {
    return Bad("--dv and --values are for --output=context, or for key sets");
  }
  if (keys != LoadKeys::kMade && absl::GetFlag(FLAGS_storage).has_value()) {
    return Bad("--storage is for --make_key_set, --key_sets and resident workloads");
  }
  if (keys == LoadKeys::kMade && absl::GetFlag(FLAGS_key_set_version).has_value()) {
    return Bad("--key_set_version: the server numbers what is made");
  }
  if (named && WorkloadFromFlags().key_sets > 1) {
    return Bad("--key_set names one key set, and --key_sets makes several");
  }
  return CheckKeySetFlags();
}

absl::Status CheckFiles() {
  const std::string report = absl::GetFlag(FLAGS_report);
  if (!report.empty() && !absl::EndsWith(report, ".html")) {
    return Bad(absl::StrCat("--report is a page: expected FILE.html, got ", report));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckLoadFlags() {
  absl::Status status = CheckPace();
  if (status.ok()) status = CheckWorkload();
  if (status.ok()) status = CheckKeys();
  if (status.ok()) status = CheckFiles();
  const LoadWorkload workload = WorkloadFromFlags();
  if (status.ok()) {
    const bool brings_top_k = workload.output == Output::kTopK && workload.top_k > 0;
    const std::optional<int64_t> top_k = absl::GetFlag(FLAGS_top_k);
    status = CheckTopK(workload.output, brings_top_k ? workload.top_k : top_k);
  }
  if (!status.ok() || LoadKeysFromFlags() == LoadKeys::kForeign ||
      !absl::GetFlag(FLAGS_keys).empty() || !absl::GetFlag(FLAGS_queries).empty()) {
    return status;  // the server, or a file, knows the sizes
  }
  return CheckSizes(workload, absl::GetFlag(FLAGS_message_bytes_max));
}

}  // namespace qkserve
