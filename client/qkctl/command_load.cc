#include "client/qkctl/command_load.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
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
#include "client/qkctl/key_set_flags.h"
#include "client/qkctl/load_loop.h"
#include "client/qkctl/load_report.h"
#include "client/qkctl/load_requests.h"
#include "client/qkctl/made_key_set.h"
#include "client/qkctl/output_flags.h"
#include "client/qkctl/shared_flags.h"
#include "client/qkctl/storage_flag.h"
#include "core/clock.h"

ABSL_FLAG(int32_t, concurrency, 1, "Requests in flight, from 1 to 10000: one thread each");
ABSL_FLAG(absl::Duration, duration, absl::Seconds(10), "How long to send");
ABSL_FLAG(int64_t, n, 16, "Queries of a request");
ABSL_FLAG(std::optional<int64_t>, m, std::nullopt,
          "Keys of a request, 128 unless given; a key set has its own");
ABSL_FLAG(std::optional<int64_t>, d, std::nullopt,
          "Length of a query and of a key, 64 unless given; a key set has its own");
ABSL_FLAG(int64_t, seed, 1, "Seed of the random queries, keys and values");
ABSL_FLAG(std::optional<qkserve::MakeKeySetFlag>, make_key_set, std::nullopt,
          "m,d or m,d,dv: make a key set of m random keys (and values), and remove it at the end. "
          "It is named --key_set, or as nobody else's");
ABSL_FLAG(bool, progress, false,
          "Tell once a second on standard error how it goes; done anyway where that is a terminal");

namespace qkserve {
namespace {

constexpr int kConcurrencyMax = 10'000;

// Set by Ctrl-C.
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

LoadWorkload WorkloadFromFlags() {
  LoadWorkload workload = {absl::GetFlag(FLAGS_n),
                           absl::GetFlag(FLAGS_m).value_or(128),
                           absl::GetFlag(FLAGS_d).value_or(64),
                           absl::GetFlag(FLAGS_concurrency),
                           absl::GetFlag(FLAGS_channels),
                           absl::GetFlag(FLAGS_output).value,
                           absl::GetFlag(FLAGS_top_k).value_or(0)};
  workload.key_set = KeySetFromFlags();
  return workload;
}

// Where the keys come from.
absl::Status CheckKeys() {
  const bool makes = absl::GetFlag(FLAGS_make_key_set).has_value();
  const bool resident = makes || !absl::GetFlag(FLAGS_key_set).empty();
  if (resident && (absl::GetFlag(FLAGS_m).has_value() || absl::GetFlag(FLAGS_d).has_value())) {
    return absl::InvalidArgumentError("--m and --d are for inline keys; a key set has its own");
  }
  if (!resident && absl::GetFlag(FLAGS_output).value == Output::kContext) {
    return absl::InvalidArgumentError("--output=context requires a key set with values");
  }
  if (!makes && absl::GetFlag(FLAGS_storage).has_value()) {
    return absl::InvalidArgumentError("--storage is for --make_key_set");
  }
  if (makes && absl::GetFlag(FLAGS_key_set_version).has_value()) {
    return absl::InvalidArgumentError("--key_set_version: the server numbers what is made");
  }
  return CheckKeySetFlags();
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
  absl::Status status = CheckKeys();
  if (status.ok()) status = CheckOutputFlags();
  if (!status.ok() || absl::GetFlag(FLAGS_make_key_set).has_value() ||
      workload.key_set.has_value()) {
    return status;  // the server knows the sizes
  }
  return CheckSizes(workload, absl::GetFlag(FLAGS_message_bytes_max));
}

// Ctrl-C or SIGTERM ends the load early. A second one ends the process, answers missing or not.
void StopOnInterrupt() {
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
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

// Completes `workload` with what the server knows of its key set.
absl::Status AskForKeySet(Client& client, LoadWorkload* workload) {
  const absl::StatusOr<KeySetInfo> info =
      client.GetKeySet(workload->key_set->name, absl::GetFlag(FLAGS_timeout));
  if (!info.ok()) return info.status();
  *workload = WithKeySet(std::move(*workload), *info);
  return CheckSizes(*workload, absl::GetFlag(FLAGS_message_bytes_max));
}

absl::Status RunAndReport(Client& client, LoadWorkload workload) {
  if (workload.key_set.has_value()) {
    absl::Status status = AskForKeySet(client, &workload);
    if (!status.ok()) return status;
  }
  const absl::StatusOr<std::vector<v1::ScoreRequest>> requests =
      BuildRequests(workload, absl::GetFlag(FLAGS_seed));
  if (!requests.ok()) return requests.status();
  const absl::Duration timeout = absl::GetFlag(FLAGS_timeout);
  const auto send = [&](int thread) -> absl::StatusOr<Receipt> {
    absl::StatusOr<v1::ScoreResponse> response =
        client.Score((*requests)[thread % requests->size()], timeout);
    if (!response.ok()) return response.status();
    return ReceiptFromProto(response->receipt());
  };
  LoadRecorder recorder;
  absl::StatusOr<absl::Duration> elapsed = RunWithProgress(send, &recorder);
  if (!elapsed.ok()) return elapsed.status();

  const LoadCounts counts = recorder.Snapshot();
  if (counts.ok == 0) {
    return counts.first_error.ok() ? absl::CancelledError("ended before the first answer")
                                   : counts.first_error;
  }
  return ShowAnswer(LoadReportText(workload, counts, *elapsed),
                    LoadReportJson(workload, counts, *elapsed));
}

absl::Status Run(const std::string& /*argument*/) {
  LoadWorkload workload = WorkloadFromFlags();
  absl::StatusOr<std::unique_ptr<Client>> client = MakeClient();
  if (!client.ok()) return client.status();
  StopOnInterrupt();
  const std::optional<MakeKeySetFlag> make = absl::GetFlag(FLAGS_make_key_set);
  if (!make.has_value()) return RunAndReport(**client, std::move(workload));

  absl::StatusOr<std::unique_ptr<MadeKeySet>> made = MadeKeySet::Create(
      client->get(), absl::GetFlag(FLAGS_key_set), *make, absl::GetFlag(FLAGS_seed), &interrupted);
  if (!made.ok()) return made.status();
  workload.key_set = KeySetReference{(*made)->name()};
  absl::Status status = RunAndReport(**client, std::move(workload));
  const absl::Status removed = (*made)->Remove();
  return status.ok() ? removed : status;
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
      "the next. Ctrl-C ends it early with the report of what ran. Keys travel with each request\n"
      "unless there is a key set: one of the server's, or one made for this load.\n";
  command.more_examples =
      "  qkctl load --concurrency=64 --n=1 --key_set=items --output=top_k --top_k=10\n"
      "  qkctl load --concurrency=64 --n=1 --make_key_set=10000,128,128 --output=context\n";
  command.flag_files = {"/qkctl/command_load.cc", kJsonFlagFile, kKeySetFlagsFile, kOutputFlagsFile,
                        kStorageFlagFile};
  command.check_flags = &CheckFlags;
  command.run = &Run;
  return command;
}

}  // namespace qkserve
