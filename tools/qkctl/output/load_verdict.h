#ifndef QKSERVE_TOOLS_QKCTL_OUTPUT_LOAD_VERDICT_H_
#define QKSERVE_TOOLS_QKCTL_OUTPUT_LOAD_VERDICT_H_

#include <set>

#include "absl/status/status.h"
#include "tools/report/load_report.h"

namespace qkserve {

// The status codes that requests of a load may fail with.
struct StatusCodes {
  bool all = false;  // every code, whatever is in `codes`
  std::set<absl::StatusCode> codes;

  bool Has(absl::StatusCode code) const { return all || codes.count(code) > 0; }
};

// Returns OK if there is anything to report: an answer, an allowed error, or requests that were due
// and not sent. Otherwise returns the first error, or the reason why there is nothing.
// `interrupted` is true if the user ended the load.
absl::Status CheckAnswered(const LoadReport& report, const StatusCodes& allowed, bool interrupted);

// Returns the worst of a load's failures, for the exit code. The failures, from the worst on, are
// wrong answers, requests that failed with codes that are not allowed, a search that found nothing,
// no server, and a schedule that was not kept.
absl::Status JudgeLoad(const LoadReport& report, const StatusCodes& allowed);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_OUTPUT_LOAD_VERDICT_H_
