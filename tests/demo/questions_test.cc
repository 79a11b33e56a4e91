#include "demo/questions.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace qkserve {
namespace {

TextFile FileOf(const std::vector<std::string>& lines) {
  TextFile file;
  file.lines = lines;
  for (size_t i = 0; i < lines.size(); ++i) file.numbers.push_back(static_cast<int64_t>(i + 1));
  return file;
}

TEST(SpoilPhraseTest, DropsAWordAndMisspellsAnother) {
  EXPECT_EQ(SpoilPhrase("call me Ishmael some years ago"), "call Ismhael some years ago");
}

TEST(SpoilPhraseTest, LeavesShortAndForeignTextAlone) {
  EXPECT_EQ(SpoilPhrase(""), "");
  EXPECT_EQ(SpoilPhrase("ab"), "ab");
  EXPECT_EQ(SpoilPhrase("größte"), "größte");
}

TEST(ChooseQuestionsTest, AsksAboutQkserveInItsReadmeOnly) {
  const TextFile file = FileOf({"# qkserve", "Start the server with ./run demo", "and ask it"});
  const TextEmbedding embedding(file.lines);
  for (const Question& question : ChooseQuestions("some/README.md", file, embedding)) {
    EXPECT_FALSE(question.source.has_value());
  }
  for (const Question& question : ChooseQuestions("notes.txt", file, embedding)) {
    EXPECT_TRUE(question.source.has_value());
  }
}

TEST(ChooseQuestionsTest, DerivesQuestionsFromLinesAllOverTheText) {
  std::vector<std::string> lines(30, "the same few words again and again");
  lines[4] = "Zebras graze quietly beneath jacaranda blossoms";
  lines[15] = "Quixotic voyagers explored uncharted archipelagos eagerly";
  lines[28] = "Luminous jellyfish pulsed through moonlit harbours";
  const TextFile file = FileOf(lines);
  const std::vector<Question> questions = ChooseQuestions("text", file, TextEmbedding(file.lines));
  ASSERT_EQ(questions.size(), 3u);
  EXPECT_EQ(questions[0].source, 4u);
  EXPECT_EQ(questions[1].source, 15u);
  EXPECT_EQ(questions[2].source, 28u);
}

TEST(ChooseQuestionsTest, OneShortLineIsEnough) {
  const TextFile file = FileOf({"hi"});
  EXPECT_EQ(ChooseQuestions("text", file, TextEmbedding(file.lines)).size(), 1u);
}

}  // namespace
}  // namespace qkserve
