#ifndef QKSERVE_TOOLS_QKCTL_COMMANDS_LOAD_OPTIONS_H_
#define QKSERVE_TOOLS_QKCTL_COMMANDS_LOAD_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/flags.h"
#include "qkserve/output.h"
#include "qkserve/tensor.h"
#include "tools/load/find_peak.h"
#include "tools/load/run_load.h"
#include "tools/load/schedule.h"
#include "tools/load/workload.h"
#include "tools/qkctl/commands/flag_values.h"
#include "tools/qkctl/input/made_key_set.h"
#include "tools/qkctl/output/answer.h"
#include "tools/qkctl/output/load_verdict.h"

namespace qkserve {

// --workload=NAME, one of the standard workloads.
struct WorkloadName {
  std::string name;  // "": none
};
bool ParseFlag(absl::string_view text, WorkloadName* workload, std::string* error);
inline std::string FlagText(const WorkloadName& workload) { return workload.name; }

// --concurrency=8, 1:256:x2 (1, 2, 4, ...) or 1:9:4 (1, 5, 9): at least one number.
struct ConcurrencyValues {
  std::string text = "1";  // as given
  std::vector<int> values = {1};
};
bool ParseFlag(absl::string_view text, ConcurrencyValues* concurrency, std::string* error);
std::string FlagText(const ConcurrencyValues& concurrency);

// --rate=R or FROM:TO, in requests a second.
struct RateRange {
  double from = 0;
  double to = 0;
};
bool ParseFlag(absl::string_view text, RateRange* rate, std::string* error);
std::string FlagText(const RateRange& rate);

// --arrivals=poisson or constant.
bool ParseFlag(absl::string_view text, Arrivals* arrivals, std::string* error);

// --latency_limit=p99:50ms
bool ParseFlag(absl::string_view text, LatencyLimit* limit, std::string* error);

// --allow_errors=RESOURCE_EXHAUSTED,UNAVAILABLE or all
bool ParseFlag(absl::string_view text, StatusCodes* codes, std::string* error);

// The origin of a load's keys.
enum class LoadKeys {
  kInline,   // each request has its own
  kForeign,  // a key set that is on the server
  kMade,     // key sets that are made for the load
};

// The options of qkctl load. Most are empty if their flag is not given. In this case the standard
// workload decides, if one is given. The functions at the end return the options that apply.
struct LoadCommandOptions : QuestionOptions {
  static constexpr bool kTimeoutLimitsAll = false;  // the status and made key sets have others

  // The requests. Sizes are those of LoadWorkload; paths are "" if there is no file.
  WorkloadName workload;
  std::optional<int64_t> n, m, d, dv;
  std::string queries, keys, values;
  std::optional<Output> output;
  std::optional<int64_t> top_k;
  int64_t seed = 1;

  // The key sets. If the load makes one set, key_set.name is its name. If it makes several, the
  // names are key_set.name with "-0", "-1" and so on.
  KeySetOptions key_set;
  std::optional<KeySetSizes> make_key_set;
  std::optional<int> key_sets;
  std::optional<double> zipf;
  std::optional<DataType> storage;

  // The schedule of requests: a closed loop, an open loop (`rate`), or a search.
  ConcurrencyValues concurrency;
  std::optional<RateRange> rate;
  std::optional<Arrivals> arrivals;
  std::optional<int64_t> in_flight_max;
  std::optional<absl::Duration> duration, warm_up;
  bool find_peak = false;
  std::optional<LatencyLimit> latency_limit;
  int attempts = 1;  // of each request

  CallerOptions caller;

  // The checks of the results, and the report.
  bool verify = false;
  std::optional<StatusCodes> allow_errors;
  bool progress = true;
  std::string csv, report;

  void AddFlags(Flags& flags);

  // INVALID_ARGUMENT: flags do not fit together, or values make no sense.
  absl::Status Validate() const;

  std::vector<FlagFile> Inputs() const;
  std::vector<FlagFile> Outputs() const;

  bool IsOpenLoop() const { return rate.has_value() || find_peak; }
  LoadKeys KeysFrom() const;

  // Returns the workload as far as the flags tell it. Files and the server add the rest.
  LoadWorkload Workload() const;

  // Returns the loads to run, one after the other. For a search there is one load, with the options
  // that all steps share.
  std::vector<LoadOptions> Loads() const;

  // Returns the limit of a search, or nullopt if there is no search.
  std::optional<LatencyLimit> PeakLimit() const;

  // Returns the codes that requests may fail with. A search allows the codes of an overloaded
  // server.
  StatusCodes AllowedErrors() const;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMMANDS_LOAD_OPTIONS_H_
