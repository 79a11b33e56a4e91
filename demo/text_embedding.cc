#include "demo/text_embedding.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/ascii.h"
#include "demo/code_points.h"

namespace qkserve {
namespace {

constexpr int kNgramMin = 3;
constexpr int kNgramMax = 5;
constexpr size_t kLineCounts = size_t{1} << 20;  // 4 MB
constexpr char32_t kBoundary = U' ';

// FNV-1a over code points with a final mix (that of MurmurHash3), because both the low and the high
// bits are used.
uint64_t HashNgram(absl::Span<const char32_t> ngram) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char32_t c : ngram) hash = (hash ^ c) * 0x100000001b3;
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccd;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53;
  return hash ^ (hash >> 33);
}

bool IsWordCharacter(char32_t c) {
  return c >= 0x80 || absl::ascii_isalnum(static_cast<unsigned char>(c));
}

// Replaces every character that is not part of a word by a boundary. A further boundary is at each
// end.
std::u32string Normalise(absl::string_view text) {
  std::u32string result(1, kBoundary);
  for (const char32_t c : DecodeUtf8(text.substr(0, TextEmbedding::kTextBytesMax))) {
    if (IsWordCharacter(c)) {
      result += c < 0x80 ? absl::ascii_tolower(static_cast<unsigned char>(c)) : c;
    } else if (result.back() != kBoundary) {
      result += kBoundary;
    }
  }
  if (result.back() != kBoundary) result += kBoundary;
  return result;
}

void AppendWordNgrams(absl::Span<const char32_t> word, std::vector<uint64_t>& ngrams) {
  for (size_t n = kNgramMin; n <= kNgramMax && n <= word.size(); ++n) {
    for (size_t i = 0; i + n <= word.size(); ++i) ngrams.push_back(HashNgram(word.subspan(i, n)));
  }
}

// The hashes of the text's n-grams, sorted, with repetitions.
std::vector<uint64_t> Ngrams(absl::string_view text) {
  const std::u32string characters = Normalise(text);
  const absl::Span<const char32_t> all(characters.data(), characters.size());
  std::vector<uint64_t> ngrams;
  size_t begin = 0;
  for (size_t end = 1; end < all.size(); ++end) {
    if (all[end] != kBoundary) continue;
    AppendWordNgrams(all.subspan(begin, end - begin + 1), ngrams);
    begin = end;
  }
  std::sort(ngrams.begin(), ngrams.end());
  return ngrams;
}

void Normalise(std::vector<float>& vector) {
  const double squares = std::inner_product(vector.begin(), vector.end(), vector.begin(), 0.0);
  if (squares == 0) return;
  for (float& x : vector) x = static_cast<float>(x / std::sqrt(squares));
}

}  // namespace

TextEmbedding::TextEmbedding(absl::Span<const std::string> lines)
    : line_counts_(kLineCounts), lines_(static_cast<int64_t>(lines.size())) {
  for (const std::string& line : lines) {
    std::vector<uint64_t> ngrams = Ngrams(line);
    ngrams.erase(std::unique(ngrams.begin(), ngrams.end()), ngrams.end());
    for (const uint64_t ngram : ngrams) ++line_counts_[ngram % kLineCounts];
  }
}

double TextEmbedding::InverseDocumentFrequency(uint64_t ngram) const {
  const int32_t count = line_counts_[ngram % kLineCounts];
  return count == 0 ? 0 : std::log(1 + static_cast<double>(lines_) / count);
}

std::vector<float> TextEmbedding::Embed(absl::string_view text) const {
  std::vector<float> vector(kDimensions);
  const std::vector<uint64_t> ngrams = Ngrams(text);
  for (auto begin = ngrams.begin(); begin != ngrams.end();) {
    const auto end = std::upper_bound(begin, ngrams.end(), *begin);
    const double weight =
        (1 + std::log(static_cast<double>(end - begin))) * InverseDocumentFrequency(*begin);
    // These bits are not used by the line counts.
    const uint64_t high = *begin >> 32;
    vector[(high >> 1) % kDimensions] += static_cast<float>(high & 1 ? weight : -weight);
    begin = end;
  }
  Normalise(vector);
  return vector;
}

double TextEmbedding::Distinctiveness(absl::string_view text) const {
  const std::vector<uint64_t> ngrams = Ngrams(text);
  if (ngrams.empty()) return 0;
  double sum = 0;
  for (const uint64_t ngram : ngrams) sum += InverseDocumentFrequency(ngram);
  return sum / static_cast<double>(ngrams.size());
}

}  // namespace qkserve
