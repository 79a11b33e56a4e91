#include "demo/text_embedding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

namespace qkserve {
namespace {

const std::vector<Passage>& Passages() {
  static const auto* passages = new std::vector<Passage>{
      {"a:1", "Start the server on a free port and write the port to a file.", ""},
      {"a:2", "The queue is bounded; a request that does not fit is refused.", ""},
      {"a:3", "Element types are float32, float16 and bfloat16.", ""},
      {"a:4", "Keys that travel with the request are called inline keys.", "Words"},
      {"a:5", "The batch never changes an answer, bit for bit.", ""},
      {"a:6", "Größe und Länge werden vor der Anforderung von Speicher geprüft.", ""},
  };
  return *passages;
}

double Dot(const std::vector<float>& a, const std::vector<float>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

double Score(const TextEmbedding& embedding, const std::string& question, const Passage& passage) {
  return Dot(embedding.EmbedQuestion(question), embedding.EmbedPassage(passage));
}

size_t Best(const TextEmbedding& embedding, const std::string& question) {
  std::vector<double> scores;
  for (const Passage& passage : Passages()) {
    scores.push_back(Score(embedding, question, passage));
  }
  return std::max_element(scores.begin(), scores.end()) - scores.begin();
}

const std::vector<float> kZeros(TextEmbedding::kDimensions);

TEST(TextEmbeddingTest, SameTextHasSameVector) {
  const TextEmbedding first(Passages());
  const TextEmbedding second(Passages());
  for (const Passage& passage : Passages()) {
    EXPECT_EQ(first.EmbedPassage(passage), second.EmbedPassage(passage));
    EXPECT_EQ(first.EmbedQuestion(passage.text), second.EmbedQuestion(passage.text));
  }
}

TEST(TextEmbeddingTest, CasePunctuationAndCommonWordsDoNotCount) {
  const TextEmbedding embedding(Passages());
  EXPECT_EQ(embedding.EmbedQuestion("The QUEUE is bounded"),
            embedding.EmbedQuestion("what queue -- was (bounded)!"));
}

TEST(TextEmbeddingTest, QuestionRanksItsAnswerFirst) {
  const TextEmbedding embedding(Passages());
  EXPECT_EQ(Best(embedding, "how do I start the server?"), 0u);
  EXPECT_EQ(Best(embedding, "what does a queue refuse?"), 1u);
  EXPECT_EQ(Best(embedding, "which element types are there?"), 2u);
  EXPECT_EQ(Best(embedding, "do answers change in batches?"), 4u);
  EXPECT_EQ(Best(embedding, "Anforderungen von Speicher"), 5u);
}

TEST(TextEmbeddingTest, ScoreIsAboutTheShareOfWordsFound) {
  const TextEmbedding embedding(Passages());
  const Passage& types = Passages()[2];
  EXPECT_NEAR(Score(embedding, "element types", types), 1, 0.2);
  EXPECT_NEAR(Score(embedding, "element types zebra giraffe", types), 0.45, 0.15);
  EXPECT_NEAR(Score(embedding, "inline", types), 0, 0.3);
}

TEST(TextEmbeddingTest, RareWordsWeighMore) {
  const TextEmbedding embedding(Passages());
  // "request" is in two passages. "bounded" and "inline" are in one passage each.
  EXPECT_EQ(Best(embedding, "request inline"), 3u);
  EXPECT_EQ(Best(embedding, "request bounded"), 1u);
  EXPECT_GT(embedding.Distinctiveness("bfloat16"), embedding.Distinctiveness("request"));
}

TEST(TextEmbeddingTest, WordsOfTheHeadingCountLess) {
  const TextEmbedding embedding(std::vector<Passage>{
      {"a:1", "alpha beta gamma", "delta"}, {"a:2", "delta beta gamma", ""}, {"a:3", "beta", ""}});
  const Passage with_heading = {"", "alpha beta gamma", "delta"};
  const Passage with_word = {"", "delta beta gamma", ""};
  const double heading = Score(embedding, "delta", with_heading);
  EXPECT_GT(heading, 0.3);
  EXPECT_LT(heading, Score(embedding, "delta", with_word) - 0.1);
}

TEST(TextEmbeddingTest, TextWithoutKnownWordsIsZero) {
  const TextEmbedding embedding(Passages());
  EXPECT_EQ(embedding.EmbedQuestion(""), kZeros);
  EXPECT_EQ(embedding.EmbedQuestion(" -- !? "), kZeros);
  EXPECT_EQ(embedding.EmbedQuestion("what is it?"), kZeros);
  EXPECT_EQ(embedding.EmbedQuestion("xyxyx qqqqq"), kZeros);
  EXPECT_EQ(embedding.EmbedPassage({}), kZeros);
  EXPECT_EQ(embedding.Distinctiveness(""), 0);
  EXPECT_EQ(TextEmbedding({}).EmbedQuestion("start"), kZeros);
}

TEST(TextEmbeddingTest, BytesThatAreNotUtf8AreWords) {
  const std::vector<Passage> passages = {{"", "caf\xe9 cr\xe8me", ""},
                                         {"", "\xff\xfe\x80\x80", ""}};
  const TextEmbedding embedding(passages);
  EXPECT_GT(Score(embedding, "caf\xe9", passages[0]), 0.5);
  EXPECT_GT(Score(embedding, "\xff\xfe\x80\x80", passages[1]), 0.5);
}

}  // namespace
}  // namespace qkserve
