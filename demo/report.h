#ifndef QKSERVE_DEMO_REPORT_H_
#define QKSERVE_DEMO_REPORT_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "demo/passages.h"
#include "demo/questions.h"
#include "demo/shared_pass.h"
#include "qkserve/client.h"

namespace qkserve {

// The sections of the demo's output, in order. Each section has a heading, explains what it shows,
// and fits 80 columns. Text from files is made safe to print.

std::string TextSection(absl::Span<const std::string> files, size_t passages, bool complete);

std::string ServerSection(const std::string& address, const v1::GetStatusResponse& status,
                          const KeySetInfo& key_set, absl::Duration put_time);

// The best passages for a question, best first.
struct Answer {
  struct Hit {
    const Passage* passage;
    float score;
  };
  Question question;
  std::vector<Hit> hits;
};

// Returns the answers in a TOP_K reply to `questions`, for a key set of `passages`. Leaves out
// passages whose score is not positive, because they have nothing in common with the question.
// INTERNAL: the reply has another form, or an index that no passage has.
absl::StatusOr<std::vector<Answer>> AnswersOf(const ScoreResult& result,
                                              absl::Span<const Question> questions,
                                              absl::Span<const Passage> passages);

std::string AnswerSection(absl::Span<const Answer> answers, const Receipt& receipt,
                          absl::Duration elapsed);

std::string SharedPassSection(const SharedPassReport& report, size_t callers, int threads,
                              const KeySetInfo& key_set);

}  // namespace qkserve

#endif  // QKSERVE_DEMO_REPORT_H_
