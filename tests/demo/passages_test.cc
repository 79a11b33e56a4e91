#include "demo/passages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace qkserve {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Texts(const std::vector<Passage>& passages) {
  std::vector<std::string> texts;
  for (const Passage& passage : passages) texts.push_back(passage.text);
  return texts;
}

std::vector<std::string> Places(const std::vector<Passage>& passages) {
  std::vector<std::string> places;
  for (const Passage& passage : passages) places.push_back(passage.place);
  return places;
}

TEST(CutIntoPassagesTest, JoinsLinesAndCutsBehindSentences) {
  const auto passages = CutIntoPassages(
      "notes.txt",
      "The first sentence is long enough to be a passage that\nstands alone. The second one goes\n"
      "on to its end, e.g. here.\n\nA new paragraph.\n");
  EXPECT_THAT(Texts(passages),
              ElementsAre("The first sentence is long enough to be a passage that stands alone.",
                          "The second one goes on to its end, e.g. here.", "A new paragraph."));
  EXPECT_THAT(Places(passages), ElementsAre("notes.txt:1", "notes.txt:2", "notes.txt:5"));
}

TEST(CutIntoPassagesTest, KeepsShortSentencesTogether) {
  EXPECT_THAT(Texts(CutIntoPassages("a", "It is so. It was so. It will be so, too.")),
              ElementsAre("It is so. It was so. It will be so, too."));
}

TEST(CutIntoPassagesTest, ItemsOfListsArePassages) {
  const auto passages = CutIntoPassages("a", "- one\n  goes on\n- two\n3. three\n* four");
  EXPECT_THAT(Texts(passages), ElementsAre("one goes on", "two", "three", "four"));
  EXPECT_THAT(Places(passages), ElementsAre("a:1", "a:3", "a:4", "a:5"));
}

TEST(CutIntoPassagesTest, MarkdownHasHeadingsTablesAndCode) {
  const auto passages = CutIntoPassages(
      "a.md",
      "# Title\n\n**Bold** and `code`.\n\n| word | meaning |\n|---|---|\n| row | one query |\n\n"
      "## Run it\n\n```sh\n./run test   # every test\n\n# a comment\n```\n");
  EXPECT_THAT(Texts(passages), ElementsAre("Bold and code.", "word | meaning", "row | one query",
                                           "./run test   # every test", "# a comment"));
  EXPECT_EQ(passages[0].heading, "Title");
  EXPECT_EQ(passages[4].heading, "Run it");
}

TEST(CutIntoPassagesTest, OtherFilesHaveNoHeadings) {
  const auto passages = CutIntoPassages("a.sh", "# a comment\n| a `b` **c**\n");
  EXPECT_THAT(Texts(passages), ElementsAre("# a comment | a `b` **c**"));
  EXPECT_EQ(passages[0].heading, "");
}

TEST(CutIntoPassagesTest, LinesOfALongBlockAreRecords) {
  std::string log;
  for (int i = 0; i < 41; ++i) absl::StrAppend(&log, "event ", i, "\n");
  EXPECT_EQ(CutIntoPassages("log", log).size(), 41u);
}

TEST(CutIntoPassagesTest, CutsWhatIsTooLong) {
  const auto words = CutIntoPassages("a", absl::StrCat(std::string(395, 'x'), " yyyyyyyy zz"));
  EXPECT_THAT(Texts(words), ElementsAre(std::string(395, 'x'), "yyyyyyyy zz"));
  // Without a space the text is cut between two characters, which have three bytes each.
  std::string characters;
  for (int i = 0; i < 200; ++i) absl::StrAppend(&characters, "\u20AC");
  const auto cut = CutIntoPassages("a", characters);
  ASSERT_EQ(cut.size(), 2u);
  EXPECT_EQ(cut[0].text.size() % 3, 0u);
  EXPECT_EQ(cut[0].text + cut[1].text, characters);
}

TEST(CutIntoPassagesTest, AnyBytesWillDo) {
  EXPECT_TRUE(CutIntoPassages("a.md", "").empty());
  EXPECT_TRUE(CutIntoPassages("a.md", "\n\n---\n```\n").empty());
  EXPECT_EQ(CutIntoPassages("a", std::string(397 * 100, '\x80')).size(), 100u);
}

}  // namespace
}  // namespace qkserve
