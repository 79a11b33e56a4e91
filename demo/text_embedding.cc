#include "demo/text_embedding.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "absl/strings/ascii.h"
#include "demo/code_points.h"

namespace qkserve {
namespace {

// The parameters of BM25. The first says how soon more occurrences of a word stop counting. The
// second says how much the length of a passage counts. Both are low, because passages are short.
constexpr double kSaturation = 0.6;
constexpr double kLengthInfluence = 0.6;
// Shorter passages count as if they had this many words, because one or two words are no better an
// answer than four.
constexpr double kLengthMin = 4;
constexpr double kHeadingWeight = 0.5;

constexpr size_t kWordCharactersMax = 5;
constexpr int kDimensionsOfWord = 4;

bool IsCommon(absl::string_view word) {
  static const auto* const common = new std::set<absl::string_view>{
      "a",     "about", "all",   "an",   "and",    "any",   "are",     "as",      "at",    "be",
      "been",  "but",   "by",    "can",  "could",  "did",   "do",      "does",    "each",  "for",
      "from",  "get",   "gets",  "had",  "has",    "have",  "happen",  "happens", "he",    "her",
      "here",  "his",   "how",   "i",    "if",     "in",    "into",    "is",      "it",    "its",
      "may",   "me",    "might", "my",   "no",     "not",   "of",      "on",      "or",    "our",
      "over",  "say",   "says",  "she",  "should", "so",    "some",    "tell",    "tells", "than",
      "that",  "the",   "their", "them", "then",   "there", "these",   "they",    "this",  "those",
      "to",    "use",   "used",  "uses", "was",    "we",    "were",    "what",    "when",  "where",
      "which", "who",   "whose", "why",  "will",   "with",  "without", "would",   "you",   "your"};
  return common->find(word) != common->end();
}

// Returns FNV-1a over code points. The final mix of MurmurHash3 follows, because AddWord uses 48
// bits of the hash.
uint64_t HashWord(const std::u32string& word) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char32_t c : word) hash = (hash ^ c) * 0x100000001b3;
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccd;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53;
  return hash ^ (hash >> 33);
}

bool IsWordCharacter(unsigned char c) { return c >= 0x80 || absl::ascii_isalnum(c); }

// Returns the hash of a word, or nullopt if the word is left out.
std::optional<uint64_t> Word(absl::string_view text) {
  const std::string lower = absl::AsciiStrToLower(text);
  if (IsCommon(lower)) return std::nullopt;
  std::u32string characters = DecodeUtf8(lower);
  if (characters.size() > 3 && characters.back() == U's') characters.pop_back();
  characters.resize(std::min(characters.size(), kWordCharactersMax));
  return HashWord(characters);
}

// Returns the hashes of a text's words, with repetitions.
std::vector<uint64_t> Words(absl::string_view text) {
  std::vector<uint64_t> words;
  while (!text.empty()) {
    const auto end = std::find_if_not(text.begin(), text.end(), IsWordCharacter) - text.begin();
    if (end > 0) {
      const std::optional<uint64_t> word = Word(text.substr(0, end));
      if (word.has_value()) words.push_back(*word);
    }
    text.remove_prefix(std::max<size_t>(end, 1));
  }
  return words;
}

// Adds a word to a vector. A word that is in two vectors adds w1 * w2 to their dot product, where
// w1 and w2 are its weights in the two.
void AddWord(uint64_t word, double weight, std::vector<float>& vector) {
  // Each of the four dimensions takes 11 bits of the hash for its index and one bit for its sign.
  static_assert(TextEmbedding::kDimensions == 1 << 11 && kDimensionsOfWord * 12 <= 64);
  const auto part = static_cast<float>(weight / std::sqrt(kDimensionsOfWord));
  for (int i = 0; i < kDimensionsOfWord; ++i, word >>= 12) {
    vector[word % TextEmbedding::kDimensions] += (word >> 11 & 1) != 0 ? part : -part;
  }
}

}  // namespace

TextEmbedding::TextEmbedding(absl::Span<const Passage> passages)
    : passages_(static_cast<int64_t>(passages.size())) {
  size_t all_words = 0;
  for (const Passage& passage : passages) {
    std::vector<uint64_t> words = Words(passage.text);
    all_words += words.size();
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    for (const uint64_t word : words) ++passages_with_[word];
  }
  if (all_words > 0) words_mean_ = static_cast<double>(all_words) / passages.size();
}

double TextEmbedding::Rarity(uint64_t word) const {
  const auto found = passages_with_.find(word);
  const auto with = static_cast<double>(found == passages_with_.end() ? 0 : found->second);
  return std::log(1 + (static_cast<double>(passages_) - with + 0.5) / (with + 0.5));
}

std::vector<float> TextEmbedding::EmbedPassage(const Passage& passage) const {
  const std::vector<uint64_t> words = Words(passage.text);
  std::map<uint64_t, double> counts;
  for (const uint64_t word : words) counts[word] += 1;
  for (const uint64_t word : Words(passage.heading)) counts[word] += kHeadingWeight;
  const double length = std::max(static_cast<double>(words.size()), kLengthMin) / words_mean_;
  const double half_count = kSaturation * (1 - kLengthInfluence + kLengthInfluence * length);
  std::vector<float> vector(kDimensions);
  for (const auto& [word, count] : counts) {
    AddWord(word, count * (1 + kSaturation) / (count + half_count), vector);
  }
  return vector;
}

std::vector<float> TextEmbedding::EmbedQuestion(absl::string_view question) const {
  const std::vector<uint64_t> words = Words(question);
  double sum = 0;
  for (const uint64_t word : words) sum += Rarity(word);
  std::vector<float> vector(kDimensions);
  for (const uint64_t word : words) {
    if (passages_with_.count(word) > 0) AddWord(word, Rarity(word) / sum, vector);
  }
  return vector;
}

double TextEmbedding::Distinctiveness(absl::string_view text) const {
  const std::vector<uint64_t> words = Words(text);
  if (words.empty()) return 0;
  double sum = 0;
  for (const uint64_t word : words) sum += Rarity(word);
  return sum / static_cast<double>(words.size());
}

}  // namespace qkserve
