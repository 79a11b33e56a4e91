#ifndef QKSERVE_TOOLS_REPORT_HTML_PAGE_H_
#define QKSERVE_TOOLS_REPORT_HTML_PAGE_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "tools/report/chart.h"

namespace qkserve {

// Bars with names. Each bar has its name before it and its value after it.
struct NamedBars {
  struct Bar {
    std::string name;
    double value = 0;
    std::string text;  // the value with its unit
    size_t color = 0;  // 0 to 5; 5 is grey
  };

  std::string title;
  std::vector<Bar> bars;  // bars without a positive value are left out
};

// A self-contained HTML page of figures, tables and charts. It has no script and loads nothing. It
// is readable on a phone, in dark mode and in print. All text is escaped.
//
// Sections appear in the order in which they are added. A heading is left out if nothing follows it
// before the next heading. Thread-compatible.
class HtmlPage {
 public:
  // `subtitle` says in one line what was measured.
  HtmlPage(std::string title, std::string subtitle);

  void AddHeading(absl::string_view text);
  void AddParagraph(absl::string_view text);

  // Adds the few figures that matter most, in large type. Each pair is a value and its name.
  void AddFigures(const std::vector<std::pair<std::string, std::string>>& figures);

  // Adds charts. They stand beside each other if there is room. Charts without data are left out.
  void AddCharts(const std::vector<std::string>& charts);
  void AddBars(const std::vector<NamedBars>& charts);

  // Adds pairs of a name and a value.
  void AddPairs(const std::vector<std::pair<std::string, std::string>>& pairs);

  // Adds a table. Columns beyond the first have numbers, aligned to the right. A narrow screen
  // shows each row as a list. A table without rows is left out.
  void AddTable(const std::vector<std::string>& header,
                const std::vector<std::vector<std::string>>& rows);

  // A row of a table that ends with a verdict: met or missed.
  struct Verdict {
    std::vector<std::string> cells;
    bool is_met = false;
  };
  void AddVerdicts(const std::vector<std::string>& header, const std::vector<Verdict>& rows);

  // Returns the page so far.
  std::string Html() const;

 private:
  // Adds the heading that waits, if there is one, and then the HTML.
  void Add(absl::string_view html);

  const std::string title_;
  const std::string subtitle_;
  std::string heading_;  // not yet added
  std::string body_;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_REPORT_HTML_PAGE_H_
