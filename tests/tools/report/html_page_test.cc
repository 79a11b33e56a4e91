#include "tools/report/html_page.h"

#include <cmath>
#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

std::string BodyOf(const HtmlPage& page) {
  const std::string html = page.Html();
  return html.substr(html.find("<body>"));
}

TEST(HtmlPageTest, ThereIsNoEmptyChapter) {
  HtmlPage page("title", "subtitle");
  page.AddHeading("nothing");
  page.AddCharts({"", ""});
  page.AddTable({"a"}, {});
  page.AddVerdicts({"a"}, {});
  page.AddPairs({});
  page.AddFigures({});
  page.AddBars({{"t", {{"no value", std::nan(""), "-", 0}, {"zero", 0, "0", 0}}}});
  page.AddHeading("something");
  page.AddParagraph("text");
  page.AddHeading("nothing again");
  const std::string body = BodyOf(page);
  EXPECT_FALSE(absl::StrContains(body, "nothing")) << body;
  EXPECT_FALSE(absl::StrContains(body, "charts")) << body;
  EXPECT_TRUE(absl::StrContains(body, "<h2>something</h2>\n<p>text</p>")) << body;
}

TEST(HtmlPageTest, MetAndMissedDifferInMoreThanColor) {
  HtmlPage page("title", "subtitle");
  page.AddVerdicts({"figure", ""}, {{{"one"}, true}, {{"two"}, false}});
  const std::string body = BodyOf(page);
  EXPECT_TRUE(absl::StrContains(body, ">one</td><td><span class=\"verdict met\">✓ met</span>"));
  EXPECT_TRUE(
      absl::StrContains(body, ">two</td><td><span class=\"verdict missed\">✗ missed</span>"));
}

TEST(HtmlPageTest, BarsHaveNamesValuesAndLengths) {
  HtmlPage page("title", "subtitle");
  page.AddBars({{"rates", {{"a & b", 100, "100/s", 0}, {"c", 50, "50/s", 5}}}});
  const std::string body = BodyOf(page);
  EXPECT_TRUE(absl::StrContains(body, "a &amp; b</span>")) << body;
  EXPECT_TRUE(absl::StrContains(body, "class=\"b0\" style=\"width:72.0%\"></i>100/s<")) << body;
  EXPECT_TRUE(absl::StrContains(body, "class=\"b5\" style=\"width:36.0%\"></i>50/s<")) << body;
}

// A narrow screen has no header row.
TEST(HtmlPageTest, CellsKnowTheNameOfTheirColumn) {
  HtmlPage page("title", "subtitle");
  page.AddTable({"load", "p99, ms"}, {{"<8>", "1.5"}});
  EXPECT_TRUE(absl::StrContains(
      BodyOf(page), "<td data-name=\"load\">&lt;8&gt;</td><td data-name=\"p99, ms\">1.5</td>"));
}

}  // namespace
}  // namespace qkserve
