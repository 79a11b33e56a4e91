#include "server/observe/log_writer.h"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace qkserve {
namespace {

// A pipe that polls as writable takes this many bytes without blocking.
constexpr size_t kWriteBytesMax = PIPE_BUF;

// The pause before the next attempt if a descriptor polls as writable but takes nothing.
constexpr absl::Duration kRetryAfter = absl::Milliseconds(10);

// Returns the time of the monotonic clock. The wall clock must not decide how long the end of the
// process waits for the log.
absl::Time Now() { return Clock::Monotonic()->Now(); }

// Writes `text`, and removes from its beginning what the descriptor has taken. While the descriptor
// would block, waits for it until `deadline`. Returns true if nothing is left of `text`.
bool WriteAll(int descriptor, absl::string_view& text, absl::Time deadline) {
  while (!text.empty()) {
    const absl::Duration left = std::max(deadline - Now(), absl::ZeroDuration());
    pollfd writable = {.fd = descriptor, .events = POLLOUT, .revents = 0};
    const int64_t ms = left == absl::InfiniteDuration()
                           ? -1
                           : std::min<int64_t>(absl::ToInt64Milliseconds(left), INT_MAX);
    const int ready = poll(&writable, 1, static_cast<int>(ms));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    const ssize_t written = write(descriptor, text.data(), std::min(text.size(), kWriteBytesMax));
    if (written > 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (written < 0 && errno == EAGAIN) {
      if (left == absl::ZeroDuration()) return false;
      absl::SleepFor(std::min(left, kRetryAfter));
    } else if (written == 0 || errno != EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace

// The lines that wait, and the thread's loop over them. The thread and the writer share the queue.
// The last of the two to end destroys it.
class LogWriter::Queue {
 public:
  Queue(int descriptor, DroppedLine dropped_line)
      : descriptor_(descriptor), dropped_line_(std::move(dropped_line)) {}

  void Push(std::string line) {
    MutexLock lock(&mutex_);
    if (lines_.size() >= kQueueLinesMax || line.size() > kQueueBytesMax - bytes_) {
      ++dropped_since_;
      ++dropped_;
      return;
    }
    bytes_ += line.size();
    lines_.push_back({std::exchange(dropped_since_, 0), std::move(line)});
    changed_.NotifyAll();
  }

  void Stop() {
    MutexLock lock(&mutex_);
    is_stopping_ = true;
    changed_.NotifyAll();
  }

  bool AwaitEmpty(absl::Time deadline) {
    MutexLock lock(&mutex_);
    while (!lines_.empty() || is_writing_ || dropped_since_ > 0) {
      const absl::Duration left = deadline - Now();
      if (left <= absl::ZeroDuration()) return false;
      changed_.WaitFor(&mutex_, left);
    }
    return true;
  }

  int64_t dropped() const {
    MutexLock lock(&mutex_);
    return dropped_;
  }

  // Runs the loop of the thread.
  void Loop() {
    Line line;
    while (Take(&line)) {
      missing_ += line.dropped_before;
      if (missing_ > 0 && Finish(dropped_line_(missing_))) missing_ = 0;
      if (line.text.empty() || (missing_ == 0 && Finish(line.text))) continue;
      ++missing_;
      MutexLock lock(&mutex_);
      ++dropped_;
    }
  }

 private:
  struct Line {
    int64_t dropped_before = 0;
    std::string text;  // empty: this entry only counts dropped lines
  };

  // Waits for the next line. Returns false if no line will follow.
  bool Take(Line* line) {
    MutexLock lock(&mutex_);
    is_writing_ = false;
    changed_.NotifyAll();
    while (lines_.empty() && dropped_since_ == 0 && !is_stopping_) changed_.Wait(&mutex_);
    if (lines_.empty() && dropped_since_ == 0) return false;
    is_writing_ = true;
    if (lines_.empty()) lines_.push_back({std::exchange(dropped_since_, 0), ""});
    *line = std::move(lines_.front());
    lines_.pop_front();
    bytes_ -= line->text.size();
    return true;
  }

  // Writes the rest of the previous line, then `text`. Returns false if no byte of `text` was
  // written.
  bool Finish(const std::string& text) {
    absl::string_view left = rest_;
    const bool rest_is_written = WriteAll(descriptor_, left, absl::InfiniteFuture());
    rest_.erase(0, rest_.size() - left.size());
    if (!rest_is_written) return false;
    left = text;
    if (WriteAll(descriptor_, left, absl::InfiniteFuture())) return true;
    if (left.size() == text.size()) return false;
    rest_ = std::string(left);
    return true;
  }

  const int descriptor_;
  const DroppedLine dropped_line_;

  mutable Mutex mutex_;
  CondVar changed_;  // signalled when there are lines to write, or none left
  std::deque<Line> lines_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;           // bytes of lines_
  int64_t dropped_since_ ABSL_GUARDED_BY(mutex_) = 0;  // lines dropped since lines_ last grew
  int64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;        // all lines dropped
  bool is_writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;

  // The thread alone uses the members below.
  std::string rest_;     // the rest of a partly written line
  int64_t missing_ = 0;  // lines lost since the last written line
};

LogWriter::LogWriter(int descriptor, DroppedLine dropped_line)
    : queue_(std::make_shared<Queue>(descriptor, std::move(dropped_line))) {
  std::thread([queue = queue_] { queue->Loop(); }).detach();
}

LogWriter::~LogWriter() { queue_->Stop(); }

void LogWriter::Write(std::string line) { queue_->Push(std::move(line)); }

bool LogWriter::Flush(absl::Duration time_max) { return queue_->AwaitEmpty(Now() + time_max); }

int64_t LogWriter::lines_dropped() const { return queue_->dropped(); }

bool WriteWithin(int descriptor, absl::string_view text, absl::Duration time_max) {
  return WriteAll(descriptor, text, Now() + time_max);
}

}  // namespace qkserve
