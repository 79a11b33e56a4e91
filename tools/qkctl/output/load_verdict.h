#ifndef QKSERVE_TOOLS_QKCTL_OUTPUT_LOAD_VERDICT_H_
#define QKSERVE_TOOLS_QKCTL_OUTPUT_LOAD_VERDICT_H_

#include <set>

#include "absl/status/status.h"
#include "tools/report/load_report.h"

namespace qkserve {

// A set of status codes: those that requests of a load may fail with.
struct StatusCodes {
  bool all = false;  // every code, whatever is in `codes`
  std::set<absl::StatusCode> codes;

  bool Has(absl::StatusCode code) const { return all || codes.count(code) > 0; }
};

// OK if there is anything to report: an answer, an allowed error, or requests that were due and not
// sent. Otherwise the first error, or the reason why there is nothing. `interrupted`: the user
// ended the load.
absl::Status CheckAnswered(const LoadReport& report, const StatusCodes& allowed, bool interrupted);

// The worst of a load's failures, for the exit code: wrong answers, requests that failed with codes
// that are not allowed, a search that found nothing, no server, a schedule that was not kept.
absl::Status JudgeLoad(const LoadReport& report, const StatusCodes& allowed);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_OUTPUT_LOAD_VERDICT_H_
