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
  // The place of the passage that the question was made from. An answer should find it. Not set: a
  // person asked.
  std::optional<std::string> source = std::nullopt;
};

// The questions about qkserve that its own documentation answers.
std::vector<Question> QuestionsAboutQkserve();

// Phrases from a few distinctive passages all over a text, made with SpoilPhrase. At least one, if
// there is a passage.
std::vector<Question> QuestionsFrom(absl::Span<const Passage> passages,
                                    const TextEmbedding& embedding);

// The first words of a passage without the second one: near enough to be found, and not a copy.
std::string SpoilPhrase(absl::string_view text);

}  // namespace qkserve

#endif  // QKSERVE_DEMO_QUESTIONS_H_
