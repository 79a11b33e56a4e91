#ifndef QKSERVE_TOOLS_QKCTL_OUTPUT_LOAD_TEXT_H_
#define QKSERVE_TOOLS_QKCTL_OUTPUT_LOAD_TEXT_H_

#include <string>

#include "tools/report/load_report.h"

namespace qkserve {

// Returns the report for a terminal: the closing table of one load, or a table with a line for each
// of several loads. The results of --verify and --find_peak stand below the table.
std::string LoadReportText(const LoadReport& report);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_OUTPUT_LOAD_TEXT_H_
