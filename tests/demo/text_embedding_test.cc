#include "demo/text_embedding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

namespace qkserve {
namespace {

const std::vector<std::string>& Lines() {
  static const auto* lines = new std::vector<std::string>{
      "Start the server on a free port and write the port to a file.",
      "The queue is bounded; a request that does not fit is refused.",
      "Element types are float32, float16 and bfloat16.",
      "Keys that travel with the request are called inline keys.",
      "The batch never changes an answer, bit for bit.",
      "Größe und Länge werden vor der Anforderung von Speicher geprüft.",
  };
  return *lines;
}

double Dot(const std::vector<float>& a, const std::vector<float>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

size_t BestLine(const TextEmbedding& embedding, const std::string& query) {
  const std::vector<float> q = embedding.Embed(query);
  std::vector<double> scores;
  for (const std::string& line : Lines()) scores.push_back(Dot(q, embedding.Embed(line)));
  return std::max_element(scores.begin(), scores.end()) - scores.begin();
}

TEST(TextEmbeddingTest, SameTextHasSameVector) {
  const TextEmbedding first(Lines());
  const TextEmbedding second(Lines());
  for (const std::string& line : Lines()) EXPECT_EQ(first.Embed(line), second.Embed(line));
}

TEST(TextEmbeddingTest, CaseAndPunctuationDoNotCount) {
  const TextEmbedding embedding(Lines());
  EXPECT_EQ(embedding.Embed("The QUEUE is bounded"), embedding.Embed("the queue -- is (bounded)!"));
}

TEST(TextEmbeddingTest, VectorsHaveLengthOne) {
  const TextEmbedding embedding(Lines());
  for (const std::string& line : Lines()) {
    const std::vector<float> vector = embedding.Embed(line);
    ASSERT_EQ(vector.size(), static_cast<size_t>(TextEmbedding::kDimensions));
    EXPECT_NEAR(Dot(vector, vector), 1, 1e-6);
  }
}

TEST(TextEmbeddingTest, MisspeltQueryRanksItsLineFirst) {
  const TextEmbedding embedding(Lines());
  EXPECT_EQ(BestLine(embedding, "strat teh servr on a prot"), 0u);
  EXPECT_EQ(BestLine(embedding, "is the qeue bouned?"), 1u);
  EXPECT_EQ(BestLine(embedding, "wich elment type: flaot16"), 2u);
  EXPECT_EQ(BestLine(embedding, "Grösse der Speicheranforderung"), 5u);
}

TEST(TextEmbeddingTest, TextWithoutWordsIsZero) {
  const TextEmbedding embedding(Lines());
  const std::vector<float> zeros(TextEmbedding::kDimensions);
  EXPECT_EQ(embedding.Embed(""), zeros);
  EXPECT_EQ(embedding.Embed(" -- !? "), zeros);
  EXPECT_EQ(embedding.Distinctiveness(""), 0);
}

TEST(TextEmbeddingTest, WordsThatTheCorpusLacksAreZero) {
  const TextEmbedding embedding(Lines());
  EXPECT_EQ(embedding.Embed("xyxyx qqqqq"), std::vector<float>(TextEmbedding::kDimensions));
}

TEST(TextEmbeddingTest, EmptyCorpusKnowsNothing) {
  const TextEmbedding embedding(absl::Span<const std::string>{});
  EXPECT_EQ(embedding.Embed("start"), std::vector<float>(TextEmbedding::kDimensions));
}

TEST(TextEmbeddingTest, BytesThatAreNotUtf8StillMakeUnitVectors) {
  const std::vector<std::string> lines = {"caf\xe9 cr\xe8me", "\xff\xfe\x80\x80", "plain words"};
  const TextEmbedding embedding(lines);
  for (const std::string& line : lines) {
    const std::vector<float> vector = embedding.Embed(line);
    EXPECT_NEAR(Dot(vector, vector), 1, 1e-6);
  }
  EXPECT_GT(Dot(embedding.Embed("caf\xe9"), embedding.Embed(lines[0])), 0.3);
}

TEST(TextEmbeddingTest, RareWordsAreMoreDistinctive) {
  const TextEmbedding embedding(Lines());
  EXPECT_GT(embedding.Distinctiveness("bfloat16"), embedding.Distinctiveness("the"));
}

}  // namespace
}  // namespace qkserve
