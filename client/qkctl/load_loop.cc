#include "client/qkctl/load_loop.h"

#include <chrono>
#include <cstddef>
#include <latch>
#include <system_error>
#include <thread>

#include "absl/strings/str_cat.h"

namespace qkserve {
namespace {

// More would be slow to merge, fewer would make threads wait.
constexpr size_t kShards = 16;

// A server that is down refuses at once. Without a pause all threads would spin until it is back.
constexpr std::chrono::milliseconds kPauseWhereUnavailable{1};

// Tells whether any server is there at all.
class ServerWatch {
 public:
  explicit ServerWatch(int64_t first_requests) : first_requests_(first_requests) {}

  void Answered(const absl::Status& status) {
    // Before the count, so that whoever sees the count sees this too.
    if (!absl::IsUnavailable(status)) seen_ = true;
    ++answers_;
  }

  bool NobodyThere() const { return answers_ >= first_requests_ && !seen_; }

 private:
  const int64_t first_requests_;
  std::atomic<bool> seen_{false};
  std::atomic<int64_t> answers_{0};
};

struct SharedState {
  const Clock* clock;
  const SendRequest& send;
  const std::atomic<bool>& stop;
  LoadRecorder* recorder;
  ServerWatch watch;

  // Threads wait here until all of them exist; what follows is written before.
  std::latch begin{1};
  absl::Time end = absl::InfinitePast();
  bool aborted = false;
};

void SendInLoop(int thread, SharedState* state) {
  state->begin.wait();
  if (state->aborted) return;
  // At least one request, even if this thread was given no CPU before a short duration had passed.
  absl::Time sent = state->clock->Now();
  do {
    if (state->stop || state->watch.NobodyThere()) return;
    const absl::StatusOr<Receipt> answer = state->send(thread);
    state->recorder->Record(thread, sent, state->clock->Now(), answer);
    state->watch.Answered(answer.status());
    if (absl::IsUnavailable(answer.status())) std::this_thread::sleep_for(kPauseWhereUnavailable);
    sent = state->clock->Now();
  } while (sent < state->end);
}

absl::Status StartThreads(int count, SharedState* state, std::vector<std::thread>* threads) {
  threads->reserve(count);
  // std::thread reports a system that has no more threads by an exception.
  try {
    for (int i = 0; i < count; ++i) threads->emplace_back(SendInLoop, i, state);
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(absl::StrCat("could start only ", threads->size(), " of ",
                                                     count, " threads: ", error.what()));
  }
  return absl::OkStatus();
}

}  // namespace

int64_t LoadCounts::Errors() const {
  int64_t errors = 0;
  for (const auto& [code, count] : errors_by_code) errors += count;
  return errors;
}

void LoadCounts::Merge(const LoadCounts& other) {
  latency.Merge(other.latency);
  ok += other.ok;
  for (const auto& [code, count] : other.errors_by_code) errors_by_code[code] += count;
  if (other.first_error_time < first_error_time) {
    first_error = other.first_error;
    first_error_time = other.first_error_time;
  }
  batch_requests += other.batch_requests;
  queued += other.queued;
  computed += other.computed;
}

LoadRecorder::LoadRecorder() {
  for (size_t i = 0; i < kShards; ++i) shards_.push_back(std::make_unique<Shard>());
}

void LoadRecorder::Record(int thread, absl::Time sent, absl::Time answered,
                          const absl::StatusOr<Receipt>& answer) {
  Shard& shard = *shards_[static_cast<size_t>(thread) % kShards];
  MutexLock lock(&shard.mutex);
  LoadCounts& counts = shard.counts;
  if (answer.ok()) {
    ++counts.ok;
    counts.latency.Record(answered - sent);
    counts.batch_requests += answer->batch_requests;
    counts.queued += answer->queued;
    counts.computed += answer->computed;
    return;
  }
  ++counts.errors_by_code[answer.status().code()];
  if (answered < counts.first_error_time) {
    counts.first_error = answer.status();
    counts.first_error_time = answered;
  }
}

LoadCounts LoadRecorder::Snapshot() const {
  LoadCounts counts;
  for (const std::unique_ptr<Shard>& shard : shards_) {
    MutexLock lock(&shard->mutex);
    counts.Merge(shard->counts);
  }
  return counts;
}

absl::StatusOr<absl::Duration> RunLoad(const LoadOptions& options, const Clock* clock,
                                       const SendRequest& send, const std::atomic<bool>& stop,
                                       LoadRecorder* recorder) {
  SharedState state{clock, send, stop, recorder, ServerWatch(options.concurrency)};
  std::vector<std::thread> threads;
  const absl::Status started = StartThreads(options.concurrency, &state, &threads);
  const absl::Time begin = clock->Now();
  state.end = begin + options.duration;
  state.aborted = !started.ok();
  state.begin.count_down();
  for (std::thread& thread : threads) thread.join();
  if (!started.ok()) return started;
  return clock->Now() - begin;
}

}  // namespace qkserve
