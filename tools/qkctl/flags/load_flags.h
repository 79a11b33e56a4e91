#ifndef QKSERVE_TOOLS_QKCTL_FLAGS_LOAD_FLAGS_H_
#define QKSERVE_TOOLS_QKCTL_FLAGS_LOAD_FLAGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tools/load/find_peak.h"
#include "tools/load/run_load.h"
#include "tools/load/workload.h"
#include "tools/qkctl/flags/load_flag_types.h"
#include "tools/qkctl/input/made_key_set.h"

// Flags of the load.
ABSL_DECLARE_FLAG(std::string, workload);
ABSL_DECLARE_FLAG(std::optional<int64_t>, m);
ABSL_DECLARE_FLAG(std::optional<int64_t>, d);
ABSL_DECLARE_FLAG(std::optional<int64_t>, dv);
ABSL_DECLARE_FLAG(std::optional<qkserve::MakeKeySetFlag>, make_key_set);
ABSL_DECLARE_FLAG(std::optional<int32_t>, key_sets);
ABSL_DECLARE_FLAG(std::optional<double>, zipf);
ABSL_DECLARE_FLAG(int64_t, seed);
ABSL_DECLARE_FLAG(qkserve::ConcurrencyFlag, concurrency);
ABSL_DECLARE_FLAG(std::optional<qkserve::RateFlag>, rate);
ABSL_DECLARE_FLAG(std::optional<qkserve::ArrivalsFlag>, arrivals);
ABSL_DECLARE_FLAG(std::optional<absl::Duration>, duration);
ABSL_DECLARE_FLAG(std::optional<absl::Duration>, warm_up);
ABSL_DECLARE_FLAG(std::optional<int64_t>, in_flight_max);
ABSL_DECLARE_FLAG(bool, find_peak);
ABSL_DECLARE_FLAG(std::optional<qkserve::LatencyLimitFlag>, latency_limit);
ABSL_DECLARE_FLAG(qkserve::StatusCodesFlag, allow_errors);
ABSL_DECLARE_FLAG(bool, verify);
ABSL_DECLARE_FLAG(bool, progress);
ABSL_DECLARE_FLAG(std::string, csv);
ABSL_DECLARE_FLAG(std::string, report);

namespace qkserve {

inline constexpr absl::string_view kLoadFlagsFile = "/qkctl/load_flags.cc";

// Where the keys of a load come from.
enum class LoadKeys {
  kInline,   // each request has its own
  kForeign,  // a key set that is on the server
  kMade,     // key sets that are made for the load
};

// INVALID_ARGUMENT: flags that do not fit together, or values that nobody can want.
absl::Status CheckLoadFlags();

bool IsOpenLoop();
LoadKeys LoadKeysFromFlags();

// As far as flags tell: files and the server know more.
LoadWorkload WorkloadFromFlags();

// The loads to run, one after the other. For a search the one element is what its steps have in
// common.
std::vector<LoadOptions> LoadOptionsFromFlags();

// nullopt: no search.
std::optional<LatencyLimit> PeakLimitFromFlags();

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_FLAGS_LOAD_FLAGS_H_
