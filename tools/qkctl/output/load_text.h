#ifndef QKSERVE_TOOLS_QKCTL_OUTPUT_LOAD_TEXT_H_
#define QKSERVE_TOOLS_QKCTL_OUTPUT_LOAD_TEXT_H_

#include <string>

#include "tools/report/load_report.h"

namespace qkserve {

// The report for a terminal: the closing table of one load, or a table with a line for each of
// several loads. Below it is what --verify saw and what --find_peak found.
std::string LoadReportText(const LoadReport& report);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_OUTPUT_LOAD_TEXT_H_
