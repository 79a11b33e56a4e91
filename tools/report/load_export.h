#ifndef QKSERVE_TOOLS_REPORT_LOAD_EXPORT_H_
#define QKSERVE_TOOLS_REPORT_LOAD_EXPORT_H_

#include <nlohmann/json.hpp>
#include <string>

#include "tools/report/load_report.h"

namespace qkserve {

// A page for people (HTML): figures, charts over time and over load, histograms, configuration and
// machines.
std::string LoadPage(const LoadReport& report);

// The functions below are for programs; docs/load.md names the fields. Times are of requests
// answered OK, in microseconds. A missing value is null, or empty.

// JSON of a load: its figures, and its timeline as `intervals`. JSON of several: `steps`, each with
// these, and `peak`.
nlohmann::ordered_json LoadReportJson(const LoadReport& report);

// The timeline of one load, or a line for each of several loads. The columns are the same.
std::string LoadReportCsv(const LoadReport& report);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_REPORT_LOAD_EXPORT_H_
