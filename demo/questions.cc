#include "demo/questions.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace qkserve {
namespace {

constexpr size_t kQuestionsFromText = 3;
constexpr size_t kPhraseWords = 8;
// A question is made from a passage with at least this many words, if there is one.
constexpr size_t kSourceWordsMin = 5;

std::vector<std::string> Words(absl::string_view text) {
  return absl::StrSplit(text, absl::ByAnyChar(" \t"), absl::SkipEmpty());
}

// Returns the most distinctive passage that has enough words, or the first passage if none has.
const Passage& DistinctivePassage(absl::Span<const Passage> passages,
                                  const TextEmbedding& embedding) {
  const Passage* best = &passages[0];
  double best_value = -1;
  for (const Passage& passage : passages) {
    if (Words(passage.text).size() < kSourceWordsMin) continue;
    const double value = embedding.Distinctiveness(passage.text);
    if (value > best_value) {
      best = &passage;
      best_value = value;
    }
  }
  return *best;
}

}  // namespace

std::vector<Question> QuestionsAboutQkserve() {
  return {{"does a batch change an answer?"},
          {"what does a server lose at SIGTERM?"},
          {"which element types are there?"},
          {"how is bad input refused?"}};
}

std::vector<Question> QuestionsFrom(absl::Span<const Passage> passages,
                                    const TextEmbedding& embedding) {
  const size_t count = std::min(kQuestionsFromText, passages.size());
  std::vector<Question> questions;
  for (size_t i = 0; i < count; ++i) {
    const size_t begin = passages.size() * i / count;
    const size_t end = passages.size() * (i + 1) / count;
    const Passage& source = DistinctivePassage(passages.subspan(begin, end - begin), embedding);
    questions.push_back({SpoilPhrase(source.text), source.place});
  }
  return questions;
}

std::string SpoilPhrase(absl::string_view text) {
  std::vector<std::string> words = Words(text);
  if (words.size() > kPhraseWords) words.resize(kPhraseWords);
  if (words.size() > 2) words.erase(words.begin() + 1);
  return absl::StrJoin(words, " ");
}

}  // namespace qkserve
