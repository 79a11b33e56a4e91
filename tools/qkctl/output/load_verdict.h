#ifndef QKSERVE_TOOLS_QKCTL_OUTPUT_LOAD_VERDICT_H_
#define QKSERVE_TOOLS_QKCTL_OUTPUT_LOAD_VERDICT_H_

#include "absl/status/status.h"
#include "tools/qkctl/flags/load_flag_types.h"
#include "tools/report/load_report.h"

namespace qkserve {

// Whether there is anything to report: an answer, an error that is allowed, or requests that were
// due and not sent. Otherwise the first error, or why there is none. `interrupted`: by the user.
absl::Status CheckAnswered(const LoadReport& report, const StatusCodesFlag& allowed,
                           bool interrupted);

// What the exit code is to say of a load, worst first: wrong answers, requests that failed with
// codes that are not allowed, a search that found nothing, no server, a schedule that was not kept.
absl::Status JudgeLoad(const LoadReport& report, const StatusCodesFlag& allowed);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_OUTPUT_LOAD_VERDICT_H_
