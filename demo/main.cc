// qkdemo: searches a text file with dot products that a qkserve server computes, then shows what
// many callers at once look like.

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/clock.h"
#include "base/command_line.h"
#include "demo/concurrent_requests.h"
#include "demo/questions.h"
#include "demo/report.h"
#include "demo/text_embedding.h"
#include "demo/text_file.h"
#include "qkserve/client.h"

ABSL_FLAG(std::string, server, "127.0.0.1:50051", "HOST:PORT of a qkserve server.");
ABSL_FLAG(std::string, text, "README.md", "Text file to search.");
ABSL_FLAG(std::string, ask, "",
          "Questions, separated by ';'. Without any, the demo asks some that suit the text.");

namespace qkserve {
namespace {

constexpr int kQuestionsMax = 32;
constexpr int kConnections = 4;
constexpr absl::Duration kTimeout = absl::Seconds(20);

// The second part: so many callers, each with its own lines as queries, all with the same keys, ask
// so many times. Fewer lines would not do: what is sent would cost more than what is computed, and
// no request would ever find the workers busy.
constexpr size_t kCallers = 64;
constexpr size_t kCallerLines = 128;
constexpr int kCallerRounds = 10;

bool IsOurs(const absl::CommandLineFlag& flag) { return FlagIsDefinedIn(flag, "demo/main.cc"); }

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
  const absl::StatusOr<ScoreResult> result = client.Score(queries.All(), keys.All(), options);
  if (!result.ok()) return result.status();
  const absl::Duration elapsed = Clock::Monotonic()->Now() - start;

  const Answers answers = {
      file, questions,
      absl::MakeConstSpan(reinterpret_cast<const float*>(result->result.data.data()),
                          questions.size() * file.lines.size())};
  PrintAnswers(answers, result->receipt, elapsed);
  PrintHeatMap(answers);
  return absl::OkStatus();
}

// The vectors of `count` lines from `first` on, from the start again where the text ends.
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
  const absl::StatusOr<ConcurrentRequestsReport> report =
      AskConcurrently(client, requests, kCallerRounds, kTimeout);
  if (!report.ok()) return report.status();
  PrintConcurrentRequests(*report, kCallerLines, kCallerRounds);
  return absl::OkStatus();
}

absl::Status Run() {
  const std::string path = absl::GetFlag(FLAGS_text);
  const absl::StatusOr<TextFile> file = ReadTextFile(path);
  if (!file.ok()) return file.status();
  PrintText(path, *file);

  const std::string address = absl::GetFlag(FLAGS_server);
  const absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Create({.address = address, .channels = kConnections});
  if (!client.ok()) return client.status();
  const absl::StatusOr<v1::GetStatusResponse> status = (*client)->GetStatus();
  if (!status.ok()) return status.status();
  PrintServer(address, *status);

  const TextEmbedding embedding(file->lines);
  VectorTable keys;
  for (const std::string& line : file->lines) keys.Append(embedding.Embed(line));
  absl::StatusOr<std::vector<Question>> questions = AskedQuestions(absl::GetFlag(FLAGS_ask));
  if (!questions.ok()) return questions.status();
  if (questions->empty()) *questions = ChooseQuestions(path, *file, embedding);

  absl::Status asked = AskQuestions(**client, *file, keys, embedding, *questions);
  if (!asked.ok()) return asked;
  return AskTogether(**client, *file, embedding);
}

int Main(int argc, char** argv) {
  const absl::StatusOr<CommandLine> command_line =
      ParseCommandLine({argv + 1, static_cast<size_t>(argc - 1)}, IsOurs);
  absl::Status usage = command_line.status();
  if (usage.ok() && command_line->help) {
    std::printf(
        "Usage: qkdemo [FLAGS]\n\nSearches a text file with dot products from a qkserve "
        "server.\n\n%s",
        FlagHelp(IsOurs).c_str());
    return 0;
  }
  if (usage.ok() && !command_line->arguments.empty()) {
    usage = absl::InvalidArgumentError(
        absl::StrCat("unexpected argument '", command_line->arguments[0], "'"));
  }
  if (usage.ok()) usage = AskedQuestions(absl::GetFlag(FLAGS_ask)).status();
  const absl::Status status = usage.ok() ? Run() : usage;
  if (status.ok()) return 0;
  std::fflush(stdout);
  std::fprintf(stderr, "error: %s: %s\n", absl::StatusCodeToString(status.code()).c_str(),
               std::string(status.message()).c_str());
  if (!usage.ok()) std::fprintf(stderr, "See qkdemo --help.\n");
  return usage.ok() ? 1 : 2;
}

}  // namespace
}  // namespace qkserve

int main(int argc, char** argv) { return qkserve::Main(argc, argv); }
