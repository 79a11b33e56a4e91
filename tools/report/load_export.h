#ifndef QKSERVE_TOOLS_REPORT_LOAD_EXPORT_H_
#define QKSERVE_TOOLS_REPORT_LOAD_EXPORT_H_

#include <nlohmann/json.hpp>
#include <string>

#include "tools/report/load_report.h"

namespace qkserve {

// A page for people (HTML): figures, charts over time and over load, histograms, configuration and
// machines.
std::string LoadPage(const LoadReport& report);

// For programs; docs/load.md names the fields. Times are of requests that were answered OK, in
// microseconds; what has no value is null, or empty.

// One load: its figures, and its timeline as `intervals`. Several: `steps`, each with these, and
// `peak`.
nlohmann::ordered_json LoadReportJson(const LoadReport& report);

// The timeline of one load, or a line for each of several; the same columns.
std::string LoadReportCsv(const LoadReport& report);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_REPORT_LOAD_EXPORT_H_
