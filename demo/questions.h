#ifndef QKSERVE_DEMO_QUESTIONS_H_
#define QKSERVE_DEMO_QUESTIONS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "demo/passages.h"
#include "demo/text_embedding.h"

namespace qkserve {

struct Question {
  std::string text;
  // The place of the passage that the question was made from; an answer should find this passage.
  // nullopt: the question was not made from a passage.
  std::optional<std::string> source = std::nullopt;
};

// Returns questions about qkserve that its documentation answers.
std::vector<Question> QuestionsAboutQkserve();

// Makes questions from a few distinctive passages in different parts of a text, with SpoilPhrase.
// Returns at least one question if there is a passage.
std::vector<Question> QuestionsFrom(absl::Span<const Passage> passages,
                                    const TextEmbedding& embedding);

// Returns the first words of a passage without the second word. The result is close enough to find
// the passage, and is not a copy of it.
std::string SpoilPhrase(absl::string_view text);

}  // namespace qkserve

#endif  // QKSERVE_DEMO_QUESTIONS_H_
