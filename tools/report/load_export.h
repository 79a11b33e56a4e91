#ifndef QKSERVE_TOOLS_REPORT_LOAD_EXPORT_H_
#define QKSERVE_TOOLS_REPORT_LOAD_EXPORT_H_

#include <nlohmann/json.hpp>
#include <string>

#include "tools/report/load_report.h"

namespace qkserve {

// Returns an HTML page for people: figures, charts over time and over load, histograms,
// configuration and machines.
std::string LoadPage(const LoadReport& report);

// The functions below are for programs. docs/load.md names the fields. Times are those of requests
// answered OK, in microseconds. A missing value is null in JSON and empty in CSV.

// Returns JSON. One load has its figures, and its timeline as `intervals`. Several loads are
// `steps`, each with these fields. A search adds `peak`.
nlohmann::ordered_json LoadReportJson(const LoadReport& report);

// Returns the timeline of one load, or a line for each of several loads. Both have the same
// columns.
std::string LoadReportCsv(const LoadReport& report);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_REPORT_LOAD_EXPORT_H_
