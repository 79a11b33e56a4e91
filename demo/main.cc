// qkdemo: searches texts with a key set on a qkserve server, then measures what many callers at
// once gain by sharing passes.

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "base/clock.h"
#include "base/flags.h"
#include "base/invalid_argument.h"
#include "base/status_macros.h"
#include "core/kernels/blas_kernel.h"
#include "demo/passages.h"
#include "demo/questions.h"
#include "demo/report.h"
#include "demo/shared_pass.h"
#include "demo/text_embedding.h"
#include "demo/text_file.h"
#include "qkserve/client.h"

namespace qkserve {
namespace {

constexpr size_t kQuestionsMax = 32;
constexpr size_t kPassagesMax = 10'000;  // 82 MB of keys
constexpr int kHits = 3;
constexpr size_t kCallers = 64;
constexpr int kConnections = 4;
constexpr absl::Duration kTimeout = absl::Seconds(20);

struct DemoOptions {
  std::string server = "127.0.0.1:50051";
  std::vector<std::string> files;
  std::string ask;           // questions, separated by ';'; "": the demo chooses some
  bool is_about_us = false;  // the files are qkserve's documentation
};

absl::StatusOr<std::vector<Question>> AskedQuestions(const std::string& ask) {
  std::vector<Question> questions;
  for (const absl::string_view text : absl::StrSplit(ask, ';')) {
    const absl::string_view stripped = absl::StripAsciiWhitespace(text);
    if (!stripped.empty()) questions.push_back({std::string(stripped)});
  }
  if (questions.size() > kQuestionsMax) {
    return InvalidArgument("--ask: got ", questions.size(), " questions, at most ", kQuestionsMax,
                           " are asked");
  }
  return questions;
}

// A row-major matrix [rows, width].
class Rows {
 public:
  void Append(const std::vector<float>& row) { data_.insert(data_.end(), row.begin(), row.end()); }

  TensorView View(int64_t width) const {
    return Matrix(data_, static_cast<int64_t>(data_.size()) / width, width);
  }

 private:
  std::vector<float> data_;
};

struct Texts {
  std::vector<Passage> passages;
  bool complete = true;
};

absl::StatusOr<Texts> ReadTexts(const std::vector<std::string>& files) {
  Texts texts;
  for (const std::string& path : files) {
    ASSIGN_OR_RETURN(const TextFile file, ReadTextFile(path));
    texts.complete = texts.complete && file.complete;
    for (Passage& passage : CutIntoPassages(path, file.text)) {
      texts.passages.push_back(std::move(passage));
    }
  }
  if (texts.passages.empty()) return InvalidArgument(files[0], " has no line with words");
  if (texts.passages.size() > kPassagesMax) {
    texts.passages.resize(kPassagesMax);
    texts.complete = false;
  }
  return texts;
}

absl::Status Search(Client& client, const DemoOptions& demo, const Texts& texts) {
  const TextEmbedding embedding(texts.passages);
  Rows keys;
  for (const Passage& passage : texts.passages) keys.Append(embedding.EmbedPassage(passage));
  std::fputs(TextSection(demo.files, texts.passages.size(), texts.complete).c_str(), stdout);

  const Clock& clock = *Clock::Monotonic();
  ASSIGN_OR_RETURN(const v1::GetStatusResponse status, client.GetStatus());
  const absl::Time put_start = clock.Now();
  ASSIGN_OR_RETURN(const KeySetInfo key_set,
                   client.PutKeySet("demo-text", keys.View(TextEmbedding::kDimensions)));
  std::fputs(ServerSection(demo.server, status, key_set, clock.Now() - put_start).c_str(), stdout);

  ASSIGN_OR_RETURN(std::vector<Question> questions, AskedQuestions(demo.ask));
  if (questions.empty()) {
    questions =
        demo.is_about_us ? QuestionsAboutQkserve() : QuestionsFrom(texts.passages, embedding);
  }
  Rows queries;
  for (const Question& question : questions) queries.Append(embedding.EmbedQuestion(question.text));
  ScoreOptions options;
  options.output = Output::kTopK;
  options.top_k = std::min<int64_t>(kHits, static_cast<int64_t>(texts.passages.size()));
  options.timeout = kTimeout;
  const absl::Time ask_start = clock.Now();
  ASSIGN_OR_RETURN(const ScoreResult result, client.Score(queries.View(TextEmbedding::kDimensions),
                                                          KeySetReference{key_set.name}, options));
  const absl::Duration elapsed = clock.Now() - ask_start;
  ASSIGN_OR_RETURN(const std::vector<Answer> answers, AnswersOf(result, questions, texts.passages));
  std::fputs(AnswerSection(answers, result.receipt, elapsed).c_str(), stdout);
  return client.DeleteKeySet(key_set.name);
}

absl::Status ShowSharedPass(Client& client) {
  const Catalogue catalogue(kCallers);
  ASSIGN_OR_RETURN(const v1::GetStatusResponse status, client.GetStatus());
  ASSIGN_OR_RETURN(const KeySetInfo key_set, client.PutKeySet("demo-catalogue", catalogue.Keys()));
  ScoreOptions options;
  options.output = Output::kTopK;
  options.top_k = Catalogue::kTopK;
  std::vector<v1::ScoreRequest> requests;
  for (size_t i = 0; i < kCallers; ++i) {
    requests.push_back(
        MakeScoreRequest(catalogue.Query(i), KeySetReference{key_set.name}, options));
  }
  const auto threads = static_cast<int>(status.workers());
  ASSIGN_OR_RETURN(
      const SharedPassReport report,
      CompareSharedPass(client, requests, [&](size_t i) { return catalogue.BestScores(i); },
                        {.threads = threads, .timeout = kTimeout}));
  std::fputs(SharedPassSection(report, kCallers, threads, key_set).c_str(), stdout);
  return client.DeleteKeySet(key_set.name);
}

absl::Status Run(const DemoOptions& demo) {
  ASSIGN_OR_RETURN(const Texts texts, ReadTexts(demo.files));
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client,
                   Client::Create({.address = demo.server, .channels = kConnections}));
  RETURN_IF_ERROR(Search(*client, demo, texts));
  RETURN_IF_ERROR(ShowSharedPass(*client));
  if (demo.ask.empty()) std::fputs("\nAsk your own: ./run demo --ask=\"QUESTION\"\n", stdout);
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  DemoOptions options;
  Flags flags(
      "Usage: qkdemo [FLAGS] FILE ...\n\nSearches texts with a key set on a qkserve server.\n");
  flags.Add("server", &options.server, "HOST:PORT of a qkserve server");
  flags.Add("ask", &options.ask,
            "Questions, separated by ';'. Without any, the demo asks some that suit the text");
  flags.Add("about_us", &options.is_about_us, "The files are qkserve's own documentation");
  flags.AddArguments("FILE", &options.files);
  const std::optional<int> exit_code =
      flags.ParseMain(argc, argv, [&] { return AskedQuestions(options.ask).status(); });
  if (exit_code.has_value()) return *exit_code;
  // OpenBLAS gets its best kernel, because the demo compares the server with OpenBLAS.
  absl::Status status = SelectKernelsOrReexec("auto", argv);
  if (status.ok()) status = Run(options);
  if (status.ok()) return 0;
  std::fflush(stdout);
  std::fprintf(stderr, "error: %s: %s\n", absl::StatusCodeToString(status.code()).c_str(),
               std::string(status.message()).c_str());
  return 1;
}

}  // namespace
}  // namespace qkserve

int main(int argc, char** argv) { return qkserve::Main(argc, argv); }
