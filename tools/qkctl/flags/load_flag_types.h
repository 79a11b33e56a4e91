#ifndef QKSERVE_TOOLS_QKCTL_FLAGS_LOAD_FLAG_TYPES_H_
#define QKSERVE_TOOLS_QKCTL_FLAGS_LOAD_FLAG_TYPES_H_

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "tools/load/peak_search.h"
#include "tools/load/schedule.h"

namespace qkserve {

// --concurrency=8, 1:256:x2 (1, 2, 4, ...) or 1:9:4 (1, 5, 9). Any numbers; at least one.
struct ConcurrencyFlag {
  std::string text = "1";
  std::vector<int> values = {1};
};
bool AbslParseFlag(absl::string_view text, ConcurrencyFlag* flag, std::string* error);
std::string AbslUnparseFlag(const ConcurrencyFlag& flag);

// --rate=R or FROM:TO
struct RateFlag {
  double from = 0;
  double to = 0;
};
bool AbslParseFlag(absl::string_view text, RateFlag* flag, std::string* error);
std::string AbslUnparseFlag(const RateFlag& flag);

// --arrivals=poisson|constant
struct ArrivalsFlag {
  Arrivals value = Arrivals::kPoisson;
};
bool AbslParseFlag(absl::string_view text, ArrivalsFlag* flag, std::string* error);
std::string AbslUnparseFlag(const ArrivalsFlag& flag);

// --latency_limit=p99:50ms
struct LatencyLimitFlag {
  LatencyLimit value;
};
bool AbslParseFlag(absl::string_view text, LatencyLimitFlag* flag, std::string* error);
std::string AbslUnparseFlag(const LatencyLimitFlag& flag);

// --allow_errors=RESOURCE_EXHAUSTED,UNAVAILABLE or all
struct StatusCodesFlag {
  bool all = false;
  std::set<absl::StatusCode> codes;

  bool Has(absl::StatusCode code) const { return all || codes.count(code) > 0; }
};
bool AbslParseFlag(absl::string_view text, StatusCodesFlag* flag, std::string* error);
std::string AbslUnparseFlag(const StatusCodesFlag& flag);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_FLAGS_LOAD_FLAG_TYPES_H_
