#include "tools/report/text_table.h"

#include <array>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

constexpr std::array kColumns = {TextAlign::kLeft, TextAlign::kRight, TextAlign::kLeft};

void ExpectFits(const std::string& text) {
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(text, '\n'))) {
    EXPECT_LE(line.size(), kTextColumns) << line;
  }
}

TEST(CountTextTest, OneHasNoPlural) {
  EXPECT_EQ(CountText(0, "request"), "0 requests");
  EXPECT_EQ(CountText(1, "request"), "1 request");
  EXPECT_EQ(CountText(2, "request"), "2 requests");
}

TEST(CutMiddleTest, KeepsBeginAndEnd) {
  EXPECT_EQ(CutMiddle("items", 5), "items");
  EXPECT_EQ(CutMiddle("catalogue-2026-11", 12), "catal...6-11");
  EXPECT_EQ(CutMiddle("catalogue-2026-11", 3), "...");
}

TEST(WrapTextTest, BreaksBetweenWords) {
  EXPECT_EQ(WrapText("  short", 2), "  short");
  const std::string word(39, 'a');
  EXPECT_EQ(WrapText(word + " " + word + "b c", 2), word + " " + word + "b\n  c");
  const std::string longest(100, 'a');
  EXPECT_EQ(WrapText("b " + longest + " c", 2), "b\n  " + longest + "\n  c");
}

TEST(TextTableTest, AlignsColumns) {
  EXPECT_EQ(TextTable(kColumns, {{"NAME", "N", "TYPE"}, {"a", "10", "x"}, {"items", "1", ""}}),
            "NAME    N  TYPE\n"
            "a      10  x\n"
            "items   1\n");
}

TEST(TextTableTest, CutsNamesInTheMiddle) {
  const std::string text =
      TextTable(kColumns, {{"NAME", "N", "TYPE"}, {std::string(100, 'a'), "10", "float32"}});
  EXPECT_EQ(text, "NAME" + std::string(66, ' ') + "N  TYPE\n" + std::string(32, 'a') + "..." +
                      std::string(32, 'a') + "  10  float32\n");
  ExpectFits(text);
}

TEST(TextTableTest, PutsNamesOnLinesOfTheirOwnIfNothingElseHelps) {
  const std::string wide(50, '1');
  EXPECT_EQ(TextTable(kColumns, {{"NAME", "N", "TYPE"}, {"items", wide, std::string(40, 'x')}}),
            "NAME\n  " + std::string(49, ' ') + "N\n  TYPE\nitems\n  " + wide + "\n  " +
                std::string(40, 'x') + "\n");
}

TEST(TextTableTest, TheLastCellOfAShortRowIsAText) {
  std::string words;
  for (int i = 0; i < 30; ++i) words += "word ";
  const std::string text = TextTable(kColumns, {{"NAME", "N", "TYPE"}, {"items", words + "."}});
  EXPECT_EQ(text.substr(0, 40), "NAME   N  TYPE\nitems  word word word wor");
  ExpectFits(text);
}

}  // namespace
}  // namespace qkserve
