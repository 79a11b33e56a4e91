#include "tools/report/html_page.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "tools/report/html_style.h"

namespace qkserve {
namespace {

std::string HeaderRow(const std::vector<std::string>& header) {
  std::string html = "<thead><tr>";
  for (const std::string& cell : header) absl::StrAppend(&html, "<th>", EscapeHtml(cell), "</th>");
  return absl::StrCat(html, "</tr></thead>\n");
}

// Returns the cells of a row. Each has the name of its column, for screens that are too narrow for
// a header.
std::string Cells(const std::vector<std::string>& header, const std::vector<std::string>& cells) {
  std::string html;
  for (size_t i = 0; i < cells.size(); ++i) {
    absl::StrAppendFormat(&html, "<td data-name=\"%s\">%s</td>",
                          i < header.size() ? EscapeHtml(header[i]) : "", EscapeHtml(cells[i]));
  }
  return html;
}

constexpr absl::string_view kTableBegin = "<div class=\"table\"><table class=\"rows\">\n";
constexpr absl::string_view kTableEnd = "</tbody></table></div>\n";

std::string BarsHtml(const NamedBars& chart) {
  double longest = 0;
  for (const NamedBars::Bar& bar : chart.bars) longest = std::max(longest, bar.value);
  if (longest <= 0) return "";
  std::string html = absl::StrCat("<figure class=\"bars\"><figcaption>", EscapeHtml(chart.title),
                                  "</figcaption>\n");
  for (const NamedBars::Bar& bar : chart.bars) {
    if (!(bar.value > 0)) continue;
    // The length of the longest bar in percent. The rest is room for the value of this bar.
    constexpr double kLongest = 72;
    absl::StrAppendFormat(&html,
                          "<div><span>%s</span><span class=\"track\"><i class=\"b%d\" "
                          "style=\"width:%.1f%%\"></i>%s</span></div>\n",
                          EscapeHtml(bar.name), bar.color, kLongest * bar.value / longest,
                          EscapeHtml(bar.text));
  }
  return absl::StrCat(html, "</figure>\n");
}

}  // namespace

HtmlPage::HtmlPage(std::string title, std::string subtitle)
    : title_(std::move(title)), subtitle_(std::move(subtitle)) {}

void HtmlPage::Add(absl::string_view html) {
  absl::StrAppend(&body_, heading_, html);
  heading_.clear();
}

void HtmlPage::AddHeading(absl::string_view text) {
  heading_ = absl::StrCat("<h2>", EscapeHtml(text), "</h2>\n");
}

void HtmlPage::AddParagraph(absl::string_view text) {
  Add(absl::StrCat("<p>", EscapeHtml(text), "</p>\n"));
}

void HtmlPage::AddFigures(const std::vector<std::pair<std::string, std::string>>& figures) {
  std::string html;
  for (const auto& [value, name] : figures) {
    absl::StrAppend(&html, "<div><b>", EscapeHtml(value), "</b><span>", EscapeHtml(name),
                    "</span></div>\n");
  }
  if (!html.empty()) Add(absl::StrCat("<div class=\"figures\">\n", html, "</div>\n"));
}

void HtmlPage::AddCharts(const std::vector<std::string>& charts) {
  const std::string html = absl::StrJoin(charts, "");
  if (!html.empty()) Add(absl::StrCat("<div class=\"charts\">\n", html, "</div>\n"));
}

void HtmlPage::AddBars(const std::vector<NamedBars>& charts) {
  std::vector<std::string> html;
  html.reserve(charts.size());
  for (const NamedBars& chart : charts) html.push_back(BarsHtml(chart));
  AddCharts(html);
}

void HtmlPage::AddPairs(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string html;
  for (const auto& [name, value] : pairs) {
    absl::StrAppend(&html, "<tr><td>", EscapeHtml(name), "</td><td>", EscapeHtml(value),
                    "</td></tr>\n");
  }
  if (html.empty()) return;
  Add(absl::StrCat("<div class=\"table\"><table class=\"pairs\">\n", html, "</table></div>\n"));
}

void HtmlPage::AddTable(const std::vector<std::string>& header,
                        const std::vector<std::vector<std::string>>& rows) {
  if (rows.empty()) return;
  std::string html = absl::StrCat(kTableBegin, HeaderRow(header), "<tbody>\n");
  for (const std::vector<std::string>& row : rows) {
    absl::StrAppend(&html, "<tr>", Cells(header, row), "</tr>\n");
  }
  Add(absl::StrCat(html, kTableEnd));
}

void HtmlPage::AddVerdicts(const std::vector<std::string>& header,
                           const std::vector<Verdict>& rows) {
  if (rows.empty()) return;
  std::string html = absl::StrCat(kTableBegin, HeaderRow(header), "<tbody>\n");
  for (const Verdict& row : rows) {
    absl::StrAppend(&html, "<tr>", Cells(header, row.cells), "<td><span class=\"verdict ",
                    row.is_met ? "met\">✓ met" : "missed\">✗ missed", "</span></td></tr>\n");
  }
  Add(absl::StrCat(html, kTableEnd));
}

std::string HtmlPage::Html() const {
  // Without this icon a browser would ask the page's server for one.
  return absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n<title>",
      EscapeHtml(title_), "</title>\n<style>", kHtmlStyle, "</style>\n</head>\n<body>\n<h1>",
      EscapeHtml(title_), "</h1>\n<p class=\"subtitle\">", EscapeHtml(subtitle_), "</p>\n", body_,
      "</body>\n</html>\n");
}

}  // namespace qkserve
