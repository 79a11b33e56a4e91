#ifndef QKSERVE_DEMO_TEXT_EMBEDDING_H_
#define QKSERVE_DEMO_TEXT_EMBEDDING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace qkserve {

// Turns text into vectors whose dot product says how alike two texts are spelt: 1 for the same
// words, near 0 for unrelated ones. No model and no training, so the demo needs nothing but a file;
// a real service would put its own embeddings here.
//
// A text becomes the n-grams (3 to 5 characters) of its words, "start" with its boundaries being "
// st", "sta", .. "tart ", so that a misspelt or inflected word still shares most of them. An n-gram
// weighs (1 + ln count) * ln(1 + N / lines that have it), the usual tf-idf, and is added with a
// hashed sign to a hashed dimension (feature hashing, Weinberger et al. 2009: the expected dot
// product is that of the unhashed vectors). Vectors have length 1.
//
// Deterministic across runs and machines. Thread-safe after construction.
class TextEmbedding {
 public:
  static constexpr int kDimensions = 512;

  // Bytes of a text that are looked at.
  static constexpr size_t kTextBytesMax = 1024;

  // Learns from the corpus how rare each n-gram is.
  explicit TextEmbedding(absl::Span<const std::string> lines);

  // kDimensions elements. N-grams that the corpus lacks cannot match and are left out (but for a
  // few that share a hash with one it has); where that leaves nothing the vector is all zeros. Any
  // bytes will do: those that are not UTF-8 count as characters of their own.
  std::vector<float> Embed(absl::string_view text) const;

  // The mean rarity of the text's n-grams. 0 if it has none. It tells a distinctive line from a
  // common one.
  double Distinctiveness(absl::string_view text) const;

 private:
  double InverseDocumentFrequency(uint64_t ngram) const;

  // Lines that have an n-gram, by a hash of it. Two n-grams seldom share an element, and then look
  // more common than they are, which does no harm.
  std::vector<int32_t> line_counts_;
  int64_t lines_ = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_DEMO_TEXT_EMBEDDING_H_
