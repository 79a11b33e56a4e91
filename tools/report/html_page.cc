#include "tools/report/html_page.h"

#include "absl/strings/str_cat.h"

namespace qkserve {
namespace {

// Colours: Okabe and Ito's, which people with colour blindness tell apart; lighter in the dark.
constexpr absl::string_view kStyle = R"(
:root { color-scheme: light dark; --back: #fff; --card: #f6f7f9; --text: #1c2128; --soft: #59636e;
  --grid: #d9dee4; --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #b0578d; --c4: #a07800;
  --c5: #444c56; }
@media (prefers-color-scheme: dark) {
  :root { --back: #14171b; --card: #1d2127; --text: #e6e9ed; --soft: #9aa4af; --grid: #343b44;
    --c0: #56b4e9; --c1: #ff9d5c; --c2: #3fcf9f; --c3: #e19ac4; --c4: #f0e442; --c5: #b6bec8; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1100px; padding: 20px 16px 48px; background: var(--back);
  color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 24px; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 32px 0 12px; }
p { margin: 4px 0 12px; overflow-wrap: anywhere; }
.subtitle { color: var(--soft); }
.figures { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); }
.figures div { background: var(--card); border-radius: 8px; padding: 10px 14px; }
.figures b { display: block; font-size: 22px; font-weight: 600; overflow-wrap: anywhere; }
.figures span { color: var(--soft); font-size: 13px; }
.charts { display: grid; gap: 16px; margin-bottom: 12px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 420px), 1fr)); }
figure { margin: 0; background: var(--card); border-radius: 8px; padding: 12px; }
figcaption { font-weight: 600; margin-bottom: 4px; }
.legend { font-size: 13px; color: var(--soft); margin: 0 0 4px; }
.legend span { white-space: nowrap; margin-right: 10px; }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 5px; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
svg .label { fill: var(--soft); }
.grid { stroke: var(--grid); stroke-width: 1; fill: none; }
.line { fill: none !important; stroke-width: 2; stroke-linejoin: round; }
.s0 { fill: var(--c0); stroke: var(--c0); background: var(--c0); }
.s1 { fill: var(--c1); stroke: var(--c1); background: var(--c1); }
.s2 { fill: var(--c2); stroke: var(--c2); background: var(--c2); }
.s3 { fill: var(--c3); stroke: var(--c3); background: var(--c3); }
.s4 { fill: var(--c4); stroke: var(--c4); background: var(--c4); }
.s5 { fill: var(--c5); stroke: var(--c5); background: var(--c5); }
rect, circle { stroke: none; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--grid); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { color: var(--soft); font-weight: 500; }
table.pairs td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
table.pairs td:first-child { color: var(--soft); white-space: nowrap; vertical-align: top; }
)";

std::string Row(const std::vector<std::string>& cells, absl::string_view element) {
  std::string html = "<tr>";
  for (const std::string& cell : cells) {
    absl::StrAppend(&html, "<", element, ">", EscapeHtml(cell), "</", element, ">");
  }
  return absl::StrCat(html, "</tr>\n");
}

}  // namespace

HtmlPage::HtmlPage(std::string title, std::string subtitle)
    : title_(std::move(title)), subtitle_(std::move(subtitle)) {}

void HtmlPage::AddHeading(absl::string_view text) {
  absl::StrAppend(&body_, "<h2>", EscapeHtml(text), "</h2>\n");
}

void HtmlPage::AddParagraph(absl::string_view text) {
  absl::StrAppend(&body_, "<p>", EscapeHtml(text), "</p>\n");
}

void HtmlPage::AddFigures(const std::vector<std::pair<std::string, std::string>>& figures) {
  absl::StrAppend(&body_, "<div class=\"figures\">\n");
  for (const auto& [value, name] : figures) {
    absl::StrAppend(&body_, "<div><b>", EscapeHtml(value), "</b><span>", EscapeHtml(name),
                    "</span></div>\n");
  }
  absl::StrAppend(&body_, "</div>\n");
}

void HtmlPage::AddCharts(const std::vector<std::string>& charts) {
  absl::StrAppend(&body_, "<div class=\"charts\">\n");
  for (const std::string& chart : charts) absl::StrAppend(&body_, chart);
  absl::StrAppend(&body_, "</div>\n");
}

void HtmlPage::AddPairs(const std::vector<std::pair<std::string, std::string>>& pairs) {
  absl::StrAppend(&body_, "<div class=\"table\"><table class=\"pairs\">\n");
  for (const auto& [name, value] : pairs) absl::StrAppend(&body_, Row({name, value}, "td"));
  absl::StrAppend(&body_, "</table></div>\n");
}

void HtmlPage::AddTable(const std::vector<std::string>& header,
                        const std::vector<std::vector<std::string>>& rows) {
  absl::StrAppend(&body_, "<div class=\"table\"><table>\n<thead>", Row(header, "th"),
                  "</thead>\n<tbody>\n");
  for (const std::vector<std::string>& row : rows) absl::StrAppend(&body_, Row(row, "td"));
  absl::StrAppend(&body_, "</tbody></table></div>\n");
}

std::string HtmlPage::Html() const {
  // A browser would otherwise ask the page's server for an icon.
  return absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n<title>",
      EscapeHtml(title_), "</title>\n<style>", kStyle, "</style>\n</head>\n<body>\n<h1>",
      EscapeHtml(title_), "</h1>\n<p class=\"subtitle\">", EscapeHtml(subtitle_), "</p>\n", body_,
      "</body>\n</html>\n");
}

}  // namespace qkserve
