#ifndef QKSERVE_DEMO_QUESTIONS_H_
#define QKSERVE_DEMO_QUESTIONS_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "demo/text_embedding.h"
#include "demo/text_file.h"

namespace qkserve {

struct Question {
  std::string text;
  // The index of the line that the question was made from. An answer should find it. Not set: a
  // person asked.
  std::optional<size_t> source;
};

// The questions of a demo without --ask, at least one. If the file is the project's README.md, they
// are about qkserve. Otherwise they are phrases from a few distinctive lines of the text, spoilt
// with SpoilPhrase.
std::vector<Question> ChooseQuestions(absl::string_view path, const TextFile& file,
                                      const TextEmbedding& embedding);

// Some words of `line`, the second of them left out and the longest with two letters swapped: near
// enough to be found, and not a copy.
std::string SpoilPhrase(absl::string_view line);

}  // namespace qkserve

#endif  // QKSERVE_DEMO_QUESTIONS_H_
