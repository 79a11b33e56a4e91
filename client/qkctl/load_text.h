#ifndef QKSERVE_CLIENT_QKCTL_LOAD_TEXT_H_
#define QKSERVE_CLIENT_QKCTL_LOAD_TEXT_H_

#include <string>

#include "client/load/load_report.h"

namespace qkserve {

// The closing table of one load, or a table with a line for each of several; then what --verify saw
// and what --find_peak found.
std::string LoadReportText(const LoadReport& report);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_QKCTL_LOAD_TEXT_H_
