#include "demo/questions.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace qkserve {
namespace {

constexpr size_t kDerivedQuestions = 3;
constexpr size_t kPhraseWords = 8;
// The fewest words of a line that a phrase is made from.
constexpr size_t kSourceWordsMin = 5;

std::vector<std::string> Words(absl::string_view line) {
  return absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
}

bool IsOurReadme(absl::string_view path, const TextFile& file) {
  return absl::EndsWith(path, "README.md") &&
         std::any_of(file.lines.begin(), file.lines.end(),
                     [](const std::string& line) { return absl::StrContains(line, "qkserve"); });
}

// The most distinctive line of [begin, end) that has enough words. If no line has, the first one.
size_t DistinctiveLine(const TextFile& file, const TextEmbedding& embedding, size_t begin,
                       size_t end) {
  size_t best = begin;
  double best_value = -1;
  for (size_t i = begin; i < end; ++i) {
    if (Words(file.lines[i]).size() < kSourceWordsMin) continue;
    const double value = embedding.Distinctiveness(file.lines[i]);
    if (value > best_value) {
      best = i;
      best_value = value;
    }
  }
  return best;
}

// Swaps two neighbouring ASCII letters in the middle of the longest word; other scripts are left
// as they are, for a swap of bytes would break them.
void MisspellLongest(std::vector<std::string>& words) {
  const auto letters = [](const std::string& word) {
    const bool ascii = std::all_of(word.begin(), word.end(),
                                   [](unsigned char c) { return absl::ascii_isalpha(c); });
    return ascii ? word.size() : 0;
  };
  const auto longest =
      std::max_element(words.begin(), words.end(),
                       [&](const auto& a, const auto& b) { return letters(a) < letters(b); });
  if (longest == words.end() || letters(*longest) < 4) return;
  const size_t middle = longest->size() / 2;
  std::swap((*longest)[middle - 1], (*longest)[middle]);
}

}  // namespace

std::string SpoilPhrase(absl::string_view line) {
  std::vector<std::string> words = Words(line);
  if (words.size() > kPhraseWords) words.resize(kPhraseWords);
  if (words.size() > 2) words.erase(words.begin() + 1);
  MisspellLongest(words);
  return absl::StrJoin(words, " ");
}

std::vector<Question> ChooseQuestions(absl::string_view path, const TextFile& file,
                                      const TextEmbedding& embedding) {
  if (IsOurReadme(path, file)) {
    return {{"how do I start the server?", std::nullopt},
            {"what happens when the queue is full?", std::nullopt},
            {"which element types are supported?", std::nullopt}};
  }
  const size_t count = std::min(kDerivedQuestions, file.lines.size());
  std::vector<Question> questions;
  for (size_t i = 0; i < count; ++i) {
    const size_t begin = file.lines.size() * i / count;
    const size_t end = file.lines.size() * (i + 1) / count;
    const size_t source = DistinctiveLine(file, embedding, begin, end);
    questions.push_back({SpoilPhrase(file.lines[source]), source});
  }
  return questions;
}

}  // namespace qkserve
