#ifndef QKSERVE_TOOLS_REPORT_LOAD_PAGE_H_
#define QKSERVE_TOOLS_REPORT_LOAD_PAGE_H_

#include <string>

#include "tools/report/load_report.h"

namespace qkserve {

// A page about a load (HTML): figures, charts over time and over load, histograms, configuration
// and machines.
std::string LoadPage(const LoadReport& report);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_REPORT_LOAD_PAGE_H_
