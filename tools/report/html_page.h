#ifndef QKSERVE_TOOLS_REPORT_HTML_PAGE_H_
#define QKSERVE_TOOLS_REPORT_HTML_PAGE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "tools/report/chart.h"

namespace qkserve {

// A self-contained HTML page of figures, tables and charts. It has no script, loads nothing, and is
// readable on a phone and in the dark. All text is escaped.
//
// Sections follow each other in the order in which they are added. Thread-compatible.
class HtmlPage {
 public:
  // `subtitle` says in a line what was measured.
  HtmlPage(std::string title, std::string subtitle);

  void AddHeading(absl::string_view text);
  void AddParagraph(absl::string_view text);

  // Adds the few figures that matter most, in large type: pairs of a value and its name.
  void AddFigures(const std::vector<std::pair<std::string, std::string>>& figures);

  // Adds charts. They stand beside each other if there is room. Charts without data are left out.
  void AddCharts(const std::vector<std::string>& charts);

  // Adds pairs of a name and a value.
  void AddPairs(const std::vector<std::pair<std::string, std::string>>& pairs);

  // Adds a table. Columns beyond the first have numbers, aligned to the right.
  void AddTable(const std::vector<std::string>& header,
                const std::vector<std::vector<std::string>>& rows);

  // The whole page so far.
  std::string Html() const;

 private:
  const std::string title_;
  const std::string subtitle_;
  std::string body_;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_REPORT_HTML_PAGE_H_
