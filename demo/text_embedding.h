#ifndef QKSERVE_DEMO_TEXT_EMBEDDING_H_
#define QKSERVE_DEMO_TEXT_EMBEDDING_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "demo/passages.h"

namespace qkserve {

// Turns passages into keys and questions into queries. Their dot product says how many of a
// question's words a passage has. No model and no training, so the demo needs nothing but a text; a
// real service would put the embeddings of its model here.
//
// It is BM25 (Robertson and Zaragoza, 2009), whose sum over words is a dot product: a question has
// the rarity of each of its words, as a share of them all, and a passage how much it says of each
// word, which depends on its count and on the passage's length. A passage of mean length that has
// every word of a question once scores 1. Words of its heading count half.
//
// A word is what stands between spaces and punctuation, without a final s, cut after five
// characters: "error" and "errors" are one word, "print" and "printed" too. Words that English uses
// everywhere are left out. Each word has four dimensions, with a sign in each, by its hash (sparse
// random projection; Achlioptas, 2003): words that share a dimension disturb each other by a
// quarter of their weight.
//
// Deterministic across runs and machines. Thread-safe after construction.
class TextEmbedding {
 public:
  static constexpr int kDimensions = 2048;

  // Learns from the passages how rare each word is.
  explicit TextEmbedding(absl::Span<const Passage> passages);

  // kDimensions elements each. Any bytes will do: those that are not UTF-8 count as characters of
  // their own. A text without words is all zeros.
  std::vector<float> EmbedPassage(const Passage& passage) const;
  // Words that no passage has make the shares of the others smaller.
  std::vector<float> EmbedQuestion(absl::string_view question) const;

  // The mean rarity of a text's words. 0 if it has none. It tells a distinctive passage from a
  // common one.
  double Distinctiveness(absl::string_view text) const;

 private:
  double Rarity(uint64_t word) const;

  std::unordered_map<uint64_t, int64_t> passages_with_;  // by the hash of a word
  int64_t passages_ = 0;
  double words_mean_ = 1;
};

}  // namespace qkserve

#endif  // QKSERVE_DEMO_TEXT_EMBEDDING_H_
