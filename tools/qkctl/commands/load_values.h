#ifndef QKSERVE_TOOLS_QKCTL_COMMANDS_LOAD_VALUES_H_
#define QKSERVE_TOOLS_QKCTL_COMMANDS_LOAD_VALUES_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "tools/load/peak_search.h"
#include "tools/load/schedule.h"
#include "tools/qkctl/output/load_verdict.h"

namespace qkserve {

// The values of flags that only qkctl load has.

// --concurrency=8, 1:256:x2 (1, 2, 4, ...) or 1:9:4 (1, 5, 9): at least one number.
struct ConcurrencyValues {
  std::string text = "1";  // as it was given
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

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMMANDS_LOAD_VALUES_H_
