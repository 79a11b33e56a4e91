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

// Turns passages into keys and questions into queries. The dot product of a query and a key says
// how many of the question's words the passage has. There is no model and no training, so that the
// demo needs only a text. A real service would put the embeddings of its model here.
//
// The score is BM25 (Robertson and Zaragoza, 2009), whose sum over words is a dot product. The
// query has the rarity of each word, as a share of the rarity of all words of the question. The key
// has a weight for each word, which depends on how often the passage has the word and on the
// passage's length. A passage of mean length that has every word of a question once scores 1. Words
// of the passage's heading count half.
//
// A word is the text between spaces and punctuation, without a final s, cut after five characters.
// "error" and "errors" are one word, and so are "print" and "printed". Very common English words
// are left out. The hash of a word selects four dimensions, with a sign in each (sparse random
// projection; Achlioptas, 2003). If two words share a dimension, they change the dot product by a
// quarter of the product of their weights.
//
// Deterministic across runs and machines. Thread-safe after construction.
class TextEmbedding {
 public:
  static constexpr int kDimensions = 2048;

  // Learns from the passages how rare each word is.
  explicit TextEmbedding(absl::Span<const Passage> passages);

  // EmbedPassage and EmbedQuestion return kDimensions elements. A text may have any bytes. A byte
  // that is not UTF-8 counts as a character. A text without words gives all zeros.
  std::vector<float> EmbedPassage(const Passage& passage) const;
  // A word that no passage has makes the shares of the question's other words smaller.
  std::vector<float> EmbedQuestion(absl::string_view question) const;

  // Returns the mean rarity of a text's words, or 0 if the text has none. A distinctive passage has
  // a higher mean than a common one.
  double Distinctiveness(absl::string_view text) const;

 private:
  double Rarity(uint64_t word) const;

  std::unordered_map<uint64_t, int64_t> passages_with_;  // by the hash of a word
  int64_t passages_ = 0;
  double words_mean_ = 1;
};

}  // namespace qkserve

#endif  // QKSERVE_DEMO_TEXT_EMBEDDING_H_
