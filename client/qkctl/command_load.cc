#include "client/qkctl/command_load.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/client.h"
#include "client/qkctl/json_flag.h"
#include "client/qkctl/load_loop.h"
#include "client/qkctl/load_report.h"
#include "client/qkctl/shared_flags.h"
#include "core/clock.h"
#include "core/limits.h"

ABSL_FLAG(int32_t, concurrency, 1, "Requests in flight, from 1 to 10000: one thread each");
ABSL_FLAG(absl::Duration, duration, absl::Seconds(10), "How long to send");
ABSL_FLAG(int64_t, n, 16, "Queries of a request");
ABSL_FLAG(int64_t, m, 128, "Keys of a request");
ABSL_FLAG(int64_t, d, 64, "Length of a query and of a key");
ABSL_FLAG(int64_t, seed, 1, "Seed of the random queries and keys");
ABSL_FLAG(bool, progress, false,
          "Tell once a second on standard error how it goes; done anyway where that is a terminal");

namespace qkserve {
namespace {

constexpr int kConcurrencyMax = 10'000;

// Threads send requests of their own until these take so much memory; then they share.
constexpr int64_t kPayloadBytesMax = 512 * kMiB;

// Set by Ctrl-C.
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

LoadWorkload WorkloadFromFlags() {
  return {absl::GetFlag(FLAGS_n), absl::GetFlag(FLAGS_m), absl::GetFlag(FLAGS_d),
          absl::GetFlag(FLAGS_concurrency), absl::GetFlag(FLAGS_channels)};
}

// Bytes of float32 [rows, columns]; INT64_MAX where that does not fit.
int64_t MatrixBytes(int64_t rows, int64_t columns) {
  int64_t bytes = 0;
  if (__builtin_mul_overflow(rows, columns, &bytes) || __builtin_mul_overflow(bytes, 4, &bytes)) {
    return INT64_MAX;
  }
  return bytes;
}

int64_t RequestBytes(const LoadWorkload& workload) {
  int64_t bytes = 0;
  if (__builtin_add_overflow(MatrixBytes(workload.n, workload.d),
                             MatrixBytes(workload.m, workload.d), &bytes)) {
    return INT64_MAX;
  }
  return bytes;
}

absl::Status CheckSizes(const LoadWorkload& workload) {
  if (workload.n < 0 || workload.m < 0 || workload.d < 0) {
    return absl::InvalidArgumentError(absl::StrCat("--n, --m and --d must be 0 or more; were ",
                                                   workload.n, ", ", workload.m, " and ",
                                                   workload.d));
  }
  const int64_t bytes_max = absl::GetFlag(FLAGS_message_bytes_max);
  if (RequestBytes(workload) > bytes_max) {
    return absl::InvalidArgumentError(
        absl::StrCat("n=", workload.n, " m=", workload.m, " d=", workload.d,
                     " make a request larger than --message_bytes_max=", bytes_max));
  }
  if (MatrixBytes(workload.n, workload.m) > bytes_max) {
    return absl::InvalidArgumentError(
        absl::StrCat("n=", workload.n, " m=", workload.m,
                     " make a result larger than --message_bytes_max=", bytes_max));
  }
  return absl::OkStatus();
}

absl::Status CheckFlags() {
  const LoadWorkload workload = WorkloadFromFlags();
  if (workload.concurrency < 1 || workload.concurrency > kConcurrencyMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--concurrency must be from 1 to ", kConcurrencyMax, "; was ", workload.concurrency));
  }
  const absl::Duration duration = absl::GetFlag(FLAGS_duration);
  if (duration <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--duration must be positive; was ", absl::FormatDuration(duration)));
  }
  return CheckSizes(workload);
}

absl::StatusOr<Tensor> RandomMatrix(int64_t rows, int64_t columns, std::mt19937_64* random) {
  absl::StatusOr<Buffer> data = Buffer::Allocate(MatrixBytes(rows, columns));
  if (!data.ok()) return data.status();
  std::uniform_real_distribution<float> uniform(-1, 1);
  float* const elements = reinterpret_cast<float*>(data->data());
  for (int64_t i = 0; i < rows * columns; ++i) elements[i] = uniform(*random);
  return Tensor{DataType::kFloat32, {rows, columns}, *std::move(data)};
}

// A request for each thread, or fewer, for threads to share, where memory would not do.
absl::StatusOr<std::vector<v1::ScoreRequest>> BuildRequests(const LoadWorkload& workload) {
  const int64_t affordable = kPayloadBytesMax / std::max<int64_t>(1, RequestBytes(workload));
  const int64_t count = std::clamp<int64_t>(affordable, 1, workload.concurrency);
  std::mt19937_64 random(absl::GetFlag(FLAGS_seed));
  std::vector<v1::ScoreRequest> requests;
  for (int64_t i = 0; i < count; ++i) {
    absl::StatusOr<Tensor> queries = RandomMatrix(workload.n, workload.d, &random);
    if (!queries.ok()) return queries.status();
    absl::StatusOr<Tensor> keys = RandomMatrix(workload.m, workload.d, &random);
    if (!keys.ok()) return keys.status();
    requests.push_back(MakeScoreRequest(queries->View(), keys->View(), {}));
  }
  return requests;
}

Receipt ReceiptOf(const v1::ScoreResponse& response) {
  const v1::Receipt& receipt = response.receipt();
  return {absl::Nanoseconds(receipt.queued_ns()), absl::Nanoseconds(receipt.computed_ns()),
          receipt.batch_requests(), receipt.batch_rows(), receipt.kernel()};
}

// Ctrl-C ends the load early. A second one ends the process, answers missing or not.
void StopOnInterrupt() {
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigaction(SIGINT, &action, nullptr);
}

// Calls `tell` once a second on a thread of its own, until it is destroyed.
class EverySecond {
 public:
  explicit EverySecond(std::function<void()> tell)
      : thread_([tell = std::move(tell)](const std::stop_token& stop) {
          std::mutex mutex;
          std::condition_variable_any stopped;
          std::unique_lock<std::mutex> lock(mutex);
          while (!stopped.wait_for(lock, stop, std::chrono::seconds(1),
                                   [&stop] { return stop.stop_requested(); })) {
            tell();
          }
        }) {}

 private:
  std::jthread thread_;
};

// Lines about how it goes: one that is overwritten on a terminal, or one below the other.
class ProgressLines {
 public:
  ProgressLines(const LoadRecorder* recorder, const Clock* clock, absl::Duration duration)
      : recorder_(recorder), clock_(clock), last_time_(clock->Now()), end_(last_time_ + duration) {}

  ~ProgressLines() {
    if (is_terminal_) std::fputs("\r\x1b[K", stderr);
  }

  void Tell() {
    const absl::Time now = clock_->Now();
    const LoadCounts counts = recorder_->Snapshot();
    const std::string text = LoadProgressText(counts, last_ok_, now - last_time_, end_ - now);
    std::fprintf(stderr, is_terminal_ ? "\r\x1b[K%s" : "%s\n", text.c_str());
    last_ok_ = counts.ok;
    last_time_ = now;
  }

 private:
  const bool is_terminal_ = IsTerminal(STDERR_FILENO);
  const LoadRecorder* const recorder_;
  const Clock* const clock_;
  absl::Time last_time_;
  const absl::Time end_;
  int64_t last_ok_ = 0;
};

absl::StatusOr<absl::Duration> RunWithProgress(const SendRequest& send, LoadRecorder* recorder) {
  const LoadOptions options{absl::GetFlag(FLAGS_concurrency), absl::GetFlag(FLAGS_duration)};
  const Clock* const clock = Clock::Monotonic();
  if (!absl::GetFlag(FLAGS_progress) && !IsTerminal(STDERR_FILENO)) {
    return RunLoad(options, clock, send, interrupted, recorder);
  }
  ProgressLines lines(recorder, clock, options.duration);
  const EverySecond ticker([&lines] { lines.Tell(); });
  return RunLoad(options, clock, send, interrupted, recorder);
}

absl::Status Run() {
  const LoadWorkload workload = WorkloadFromFlags();
  absl::StatusOr<std::unique_ptr<Client>> client = MakeClient();
  if (!client.ok()) return client.status();
  absl::StatusOr<std::vector<v1::ScoreRequest>> requests = BuildRequests(workload);
  if (!requests.ok()) return requests.status();

  const absl::Duration timeout = absl::GetFlag(FLAGS_timeout);
  const auto send = [&](int thread) -> absl::StatusOr<Receipt> {
    absl::StatusOr<v1::ScoreResponse> response =
        (*client)->Score((*requests)[thread % requests->size()], timeout);
    if (!response.ok()) return response.status();
    return ReceiptOf(*response);
  };
  StopOnInterrupt();
  LoadRecorder recorder;
  absl::StatusOr<absl::Duration> elapsed = RunWithProgress(send, &recorder);
  if (!elapsed.ok()) return elapsed.status();

  const LoadCounts counts = recorder.Snapshot();
  if (counts.ok == 0) {
    return counts.first_error.ok() ? absl::CancelledError("ended before the first answer")
                                   : counts.first_error;
  }
  const std::string json_path = absl::GetFlag(FLAGS_json);
  if (json_path != "-") {
    std::fputs(LoadReportText(workload, counts, *elapsed).c_str(), stdout);
  }
  return json_path.empty() ? absl::OkStatus()
                           : WriteJson(json_path, LoadReportJson(workload, counts, *elapsed));
}

}  // namespace

Command LoadCommand() {
  Command command;
  command.name = "load";
  command.summary = "Keeps a server busy and reports throughput and latencies.";
  command.example = "qkctl load --concurrency=32 --duration=10s --n=16 --m=128 --d=64";
  command.details =
      "A closed loop: each of --concurrency threads sends a request, waits for its answer and "
      "sends\n"
      "the next. Ctrl-C ends it early with the report of what ran.\n";
  command.flag_files = {"/qkctl/command_load.cc", kJsonFlagFile};
  command.check_flags = &CheckFlags;
  command.run = &Run;
  return command;
}

}  // namespace qkserve
