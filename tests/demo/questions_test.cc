#include "demo/questions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "demo/text_file.h"

namespace qkserve {
namespace {

using ::testing::HasSubstr;

std::vector<Passage> PassagesOf(const std::vector<std::string>& texts) {
  std::vector<Passage> passages;
  for (const std::string& text : texts) {
    passages.push_back({absl::StrCat("text:", passages.size()), text, ""});
  }
  return passages;
}

TEST(SpoilPhraseTest, DropsAWord) {
  EXPECT_EQ(SpoilPhrase("call me Ishmael some years ago and never mind"),
            "call Ishmael some years ago and never");
  EXPECT_EQ(SpoilPhrase("ab cd"), "ab cd");
  EXPECT_EQ(SpoilPhrase(""), "");
}

TEST(QuestionsFromTest, AsksAboutPassagesAllOverTheText) {
  std::vector<std::string> texts(30, "the same few words again and again");
  texts[4] = "Zebras graze quietly beneath jacaranda blossoms";
  texts[15] = "Quixotic voyagers explored uncharted archipelagos eagerly";
  texts[28] = "Luminous jellyfish pulsed through moonlit harbours";
  const std::vector<Passage> passages = PassagesOf(texts);
  const std::vector<Question> questions = QuestionsFrom(passages, TextEmbedding(passages));
  ASSERT_EQ(questions.size(), 3u);
  EXPECT_EQ(questions[0].source, "text:4");
  EXPECT_EQ(questions[1].source, "text:15");
  EXPECT_EQ(questions[2].source, "text:28");
}

TEST(QuestionsFromTest, OneShortPassageIsEnough) {
  const std::vector<Passage> passages = PassagesOf({"hi"});
  EXPECT_EQ(QuestionsFrom(passages, TextEmbedding(passages)).size(), 1u);
}

// Returns the passages of the texts that `./run demo` searches.
std::vector<Passage> Documentation() {
  const std::filesystem::path root = QKSERVE_SOURCE_DIR;
  std::vector<std::string> files = {root / "README.md"};
  for (const auto& entry : std::filesystem::directory_iterator(root / "docs")) {
    if (entry.path().extension() == ".md" && entry.path().filename() != "architecture.md") {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<Passage> passages;
  for (const std::string& path : files) {
    const auto file = ReadTextFile(path);
    EXPECT_TRUE(file.ok()) << file.status();
    for (const Passage& passage : CutIntoPassages(path, file->text)) passages.push_back(passage);
  }
  return passages;
}

// The answers are the first thing that a new user sees. If a page was rewritten and an answer is
// gone, ask another question.
TEST(QuestionsAboutQkserveTest, TheDocumentationAnswersThem) {
  const std::vector<Passage> passages = Documentation();
  const TextEmbedding embedding(passages);
  std::vector<std::string> answers;
  for (const Question& question : QuestionsAboutQkserve()) {
    EXPECT_FALSE(question.source.has_value());
    const std::vector<float> query = embedding.EmbedQuestion(question.text);
    std::vector<double> scores;
    for (const Passage& passage : passages) {
      const std::vector<float> key = embedding.EmbedPassage(passage);
      scores.push_back(std::inner_product(query.begin(), query.end(), key.begin(), 0.0));
    }
    const auto best = std::max_element(scores.begin(), scores.end());
    EXPECT_GT(*best, 0.4) << question.text;
    answers.push_back(passages[best - scores.begin()].text);
  }
  ASSERT_EQ(answers.size(), 4u);
  EXPECT_THAT(answers[0], HasSubstr("never changes an answer"));
  EXPECT_THAT(answers[1], HasSubstr("loses nothing"));
  EXPECT_THAT(answers[2], HasSubstr("float32, float16 or bfloat16"));
  EXPECT_THAT(answers[3], HasSubstr("names the field"));
}

}  // namespace
}  // namespace qkserve
