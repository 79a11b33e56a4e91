#include "base/thread_limit.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <latch>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/clock.h"

namespace qkserve {
namespace {

int64_t ThreadsOfProcess() {
  std::error_code error;
  return std::distance(std::filesystem::directory_iterator("/proc/self/task", error), {});
}

// Waits until the process has at most `count` threads, but at most 1 s. Joined threads count
// against the limits until the kernel has removed them.
void AwaitThreads(int64_t count) {
  constexpr absl::Duration kWaitMax = absl::Seconds(1);
  const Clock& clock = *Clock::Monotonic();
  const absl::Time end = clock.Now() + kWaitMax;
  while (ThreadsOfProcess() > count && clock.Now() < end) absl::SleepFor(absl::Microseconds(100));
}

}  // namespace

int64_t GrpcThreads() {
  // These numbers were counted in a running server of gRPC 1.51. The event engine has a thread for
  // each CPU (2 to 32). Callbacks have a thread for every two CPUs (2 to 16). The other threads are
  // timers, executors and the like. gRPC counts all CPUs of the machine, even those that this
  // process may not use.
  const int64_t cpus = sysconf(_SC_NPROCESSORS_CONF);
  constexpr int64_t kOthers = 8;
  return std::clamp<int64_t>(cpus, 2, 32) + std::clamp<int64_t>(cpus / 2, 2, 16) + kOthers;
}

absl::Status CheckThreads(int64_t count, const StartThread& start) {
  const int64_t before = ThreadsOfProcess();
  std::latch gate(1);
  std::vector<std::thread> threads;
  threads.reserve(static_cast<size_t>(count));
  std::string error;
  try {
    while (static_cast<int64_t>(threads.size()) < count) {
      threads.push_back(start([&gate] { gate.wait(); }));
    }
  } catch (const std::system_error& caught) {
    error = caught.what();
  }
  gate.count_down();
  for (std::thread& thread : threads) thread.join();
  if (error.empty()) {
    AwaitThreads(before);
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(absl::StrCat(
      "threads: got ", threads.size(), " of the ", count, " that may be needed: ", error,
      "; raise the limit (pids of the container, TasksMax, ulimit -u)"));
}

}  // namespace qkserve
