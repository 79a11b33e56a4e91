// qkdemo: searches a text file with dot products that a qkserve server computes, then shows what
// many callers at once look like.

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/clock.h"
#include "base/flags.h"
#include "base/status_macros.h"
#include "demo/concurrent_requests.h"
#include "demo/questions.h"
#include "demo/report.h"
#include "demo/text_embedding.h"
#include "demo/text_file.h"
#include "qkserve/client.h"

namespace qkserve {
namespace {

constexpr int kQuestionsMax = 32;
constexpr int kConnections = 4;
constexpr absl::Duration kTimeout = absl::Seconds(20);

// The second part: kCallers callers ask kCallerRounds times, each with kCallerLines lines of its
// own as queries, all with the same keys. With fewer lines sending costs more than computing, and
// no request ever finds the workers busy.
constexpr size_t kCallers = 64;
constexpr size_t kCallerLines = 128;
constexpr int kCallerRounds = 10;

struct DemoOptions {
  std::string server = "127.0.0.1:50051";
  std::string text = "README.md";  // path of the file to search
  std::string ask;                 // questions, separated by ';'; "": some that suit the text
};

absl::StatusOr<std::vector<Question>> AskedQuestions(const std::string& ask) {
  std::vector<Question> questions;
  for (const absl::string_view text : absl::StrSplit(ask, ';')) {
    const absl::string_view stripped = absl::StripAsciiWhitespace(text);
    if (!stripped.empty()) questions.push_back({std::string(stripped), std::nullopt});
  }
  if (questions.size() > kQuestionsMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--ask: got ", questions.size(), " questions, at most ", kQuestionsMax, " are asked"));
  }
  return questions;
}

// Row-major [rows, kDimensions].
class VectorTable {
 public:
  void Append(const std::vector<float>& row) { data_.insert(data_.end(), row.begin(), row.end()); }

  TensorView All() const {
    constexpr int64_t kWidth = TextEmbedding::kDimensions;
    return {DataType::kFloat32,
            {static_cast<int64_t>(data_.size()) / kWidth, kWidth},
            reinterpret_cast<const std::byte*>(data_.data())};
  }

 private:
  std::vector<float> data_;
};

absl::Status AskQuestions(Client& client, const TextFile& file, const VectorTable& keys,
                          const TextEmbedding& embedding, const std::vector<Question>& questions) {
  VectorTable queries;
  for (const Question& question : questions) queries.Append(embedding.Embed(question.text));
  const absl::Time start = Clock::Monotonic()->Now();
  ScoreOptions options;
  options.timeout = kTimeout;
  ASSIGN_OR_RETURN(const ScoreResult result, client.Score(queries.All(), keys.All(), options));
  const absl::Duration elapsed = Clock::Monotonic()->Now() - start;

  const Answers answers = {
      file, questions,
      absl::MakeConstSpan(reinterpret_cast<const float*>(result.result.data.data()),
                          questions.size() * file.lines.size())};
  PrintAnswers(answers, result.receipt, elapsed);
  PrintHeatMap(answers);
  return absl::OkStatus();
}

// The vectors of `count` lines from `first` on. After the last line the first one follows.
VectorTable SomeLines(const TextFile& file, const TextEmbedding& embedding, size_t first,
                      size_t count) {
  VectorTable table;
  for (size_t i = 0; i < count; ++i) {
    table.Append(embedding.Embed(file.lines[(first + i) % file.lines.size()]));
  }
  return table;
}

absl::Status AskTogether(Client& client, const TextFile& file, const TextEmbedding& embedding) {
  const VectorTable keys = SomeLines(file, embedding, 0, kCallerLines);
  std::vector<v1::ScoreRequest> requests;
  for (size_t i = 0; i < kCallers; ++i) {
    const VectorTable queries =
        SomeLines(file, embedding, i * file.lines.size() / kCallers, kCallerLines);
    requests.push_back(MakeScoreRequest(queries.All(), keys.All(), {}));
  }
  ASSIGN_OR_RETURN(const ConcurrentRequestsReport report,
                   AskConcurrently(client, requests, kCallerRounds, kTimeout));
  PrintConcurrentRequests(report, kCallerLines, kCallerRounds);
  return absl::OkStatus();
}

absl::Status Run(const DemoOptions& demo) {
  const std::string& path = demo.text;
  ASSIGN_OR_RETURN(const TextFile file, ReadTextFile(path));
  PrintText(path, file);

  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client,
                   Client::Create({.address = demo.server, .channels = kConnections}));
  ASSIGN_OR_RETURN(const v1::GetStatusResponse status, client->GetStatus());
  PrintServer(demo.server, status);

  const TextEmbedding embedding(file.lines);
  VectorTable keys;
  for (const std::string& line : file.lines) keys.Append(embedding.Embed(line));
  ASSIGN_OR_RETURN(std::vector<Question> questions, AskedQuestions(demo.ask));
  if (questions.empty()) questions = ChooseQuestions(path, file, embedding);

  RETURN_IF_ERROR(AskQuestions(*client, file, keys, embedding, questions));
  return AskTogether(*client, file, embedding);
}

int Main(int argc, char** argv) {
  DemoOptions options;
  Flags flags(
      "Usage: qkdemo [FLAGS]\n\nSearches a text file with dot products from a qkserve server.\n");
  flags.Add("server", &options.server, "HOST:PORT of a qkserve server");
  flags.Add("text", &options.text, "Text file to search");
  flags.Add("ask", &options.ask,
            "Questions, separated by ';'. Without any, the demo asks some that suit the text");
  const std::optional<int> exit_code =
      flags.ParseMain(argc, argv, [&] { return AskedQuestions(options.ask).status(); });
  if (exit_code.has_value()) return *exit_code;
  const absl::Status status = Run(options);
  if (status.ok()) return 0;
  std::fflush(stdout);
  std::fprintf(stderr, "error: %s: %s\n", absl::StatusCodeToString(status.code()).c_str(),
               std::string(status.message()).c_str());
  return 1;
}

}  // namespace
}  // namespace qkserve

int main(int argc, char** argv) { return qkserve::Main(argc, argv); }
