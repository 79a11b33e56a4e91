#ifndef QKSERVE_DEMO_REPORT_H_
#define QKSERVE_DEMO_REPORT_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "demo/concurrent_requests.h"
#include "demo/questions.h"
#include "demo/text_file.h"
#include "qkserve/client.h"

namespace qkserve {

// The demo's output: each section has a heading and says what is seen. All of it goes to
// standard output.

// Questions and the server's scores [questions, lines] for them.
struct Answers {
  const TextFile& file;
  absl::Span<const Question> questions;
  absl::Span<const float> scores;

  absl::Span<const float> ScoresOf(size_t question) const {
    return scores.subspan(question * file.lines.size(), file.lines.size());
  }
};

// Indices of the `count` best scores, best first, ties by lower index. Scores that are not positive
// are no match and are left out.
std::vector<size_t> BestLines(absl::Span<const float> scores, size_t count);

// The sections, in order.
void PrintText(const std::string& path, const TextFile& file);
void PrintServer(const std::string& address, const v1::GetStatusResponse& status);
void PrintAnswers(const Answers& answers, const Receipt& receipt, absl::Duration elapsed);
void PrintHeatMap(const Answers& answers);
// `lines` are the queries and keys of each request.
void PrintConcurrentRequests(const ConcurrentRequestsReport& report, size_t lines, int rounds);

}  // namespace qkserve

#endif  // QKSERVE_DEMO_REPORT_H_
