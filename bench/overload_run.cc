#include "bench/overload_run.h"

#include <atomic>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/host.h"
#include "base/status_macros.h"
#include "qkserve/channel.h"
#include "qkserve/client.h"
#include "tools/load/random_source.h"

namespace qkserve::bench {
namespace {

constexpr absl::Duration kWarmUp = absl::Seconds(1);

// One connection for each CPU of a small machine, because a connection carries about as much as a
// core can send.
constexpr int kChannels = 2;

constexpr double kCalmLoad = 0.8;  // as a part of the peak
constexpr absl::Duration kCalm = absl::Seconds(3);
constexpr size_t kCalmIntervals = 5;  // intervals of 100 ms

const std::atomic<bool> never{false};

int64_t CountOf(const LoadCounts& counts, absl::StatusCode code) {
  const auto found = counts.errors_by_code.find(code);
  return found == counts.errors_by_code.end() ? 0 : found->second.count;
}

// See OverloadPoint::recovery.
absl::Duration RecoveryOf(const std::vector<LoadInterval>& timeline) {
  for (size_t first = 0; first + kCalmIntervals <= timeline.size(); ++first) {
    double good = 0, due = 0;
    for (size_t i = first; i < first + kCalmIntervals; ++i) {
      good += static_cast<double>(timeline[i].good);
      due += timeline[i].due.value_or(0);
    }
    if (good >= 0.9 * due) return timeline[first].begin;
  }
  return absl::InfiniteDuration();
}

}  // namespace

absl::StatusOr<std::unique_ptr<OverloadRun>> OverloadRun::Create(const BenchWorkload& workload,
                                                                 const ChildServer& server) {
  std::unique_ptr<OverloadRun> run(new OverloadRun(workload, server));
  const ClientOptions options = {
      .address = server.address(), .channels = kChannels, .attempts_max = 1};
  RequestSetOptions requests;
  requests.workload = workload;
  requests.payloads_max = 16;
  if (workload.resident) {
    ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, Client::Create(options));
    const TensorSource keys = RandomSource({workload.m, workload.d}, requests.seed, &never);
    ASSIGN_OR_RETURN(const KeySetInfo info, client->PutKeySet(workload.name, keys));
    requests.key_sets = {{info.name, info.version}};
  }
  ASSIGN_OR_RETURN(run->requests_, BuildRequestSet(requests));
  ASSIGN_OR_RETURN(run->channels_, MakeChannels(options));
  return run;
}

LoadResult OverloadRun::Send(const LoadOptions& options) const {
  return RunLoad(options, {channels_, &requests_, nullptr}, Clock::Monotonic(), never);
}

absl::StatusOr<double> OverloadRun::Peak(absl::Duration duration) const {
  LoadOptions load;
  load.concurrency = workload_.callers;
  load.warm_up = kWarmUp;
  load.duration = duration;
  const LoadResult result = Send(load);
  if (result.counts.Errors() > 0) return result.counts.FirstError();
  if (result.completed == 0) return absl::UnavailableError("no request was answered");
  return result.RequestsPerSecond();
}

OverloadPoint OverloadRun::Point(const OverloadSeries& series, double load,
                                 absl::Duration duration) const {
  LoadOptions options;
  options.rate_from = options.rate_to = load * series.peak;
  options.warm_up = kWarmUp;
  options.duration = duration;
  options.timeout = series.deadline;
  LoadOptions calm = options;
  calm.rate_from = calm.rate_to = kCalmLoad * series.peak;
  calm.arrivals = Arrivals::kConstant;
  calm.warm_up = absl::ZeroDuration();
  calm.duration = kCalm;

  server_.ResetMemoryPeak();
  OverloadPoint point;
  LoadResult result;
  std::thread overload([&] { result = Send(options); });
  if (load > 1) {
    absl::SleepFor(kWarmUp + duration);
    point.recovery = RecoveryOf(Send(calm).timeline);
  }
  overload.join();

  const LoadCounts& counts = result.counts;
  point.load = load;
  point.goodput = result.GoodputPerSecond();
  point.is_void = !result.KeptSchedule();
  point.sent = counts.sent;
  point.refused = CountOf(counts, absl::StatusCode::kResourceExhausted);
  point.late = counts.ok - counts.good + CountOf(counts, absl::StatusCode::kDeadlineExceeded);
  point.failed =
      counts.Errors() - point.refused - CountOf(counts, absl::StatusCode::kDeadlineExceeded);
  point.unanswered = counts.sent - counts.ok - counts.Errors();
  point.p50 = counts.response.Percentile(50);
  point.p99 = counts.response.Percentile(99);
  point.refused_p99 = counts.refused.Percentile(99);
  point.memory_mb = server_.MemoryMb("VmHWM:");
  return point;
}

absl::StatusOr<OverloadSeries> OverloadRun::Measure(const std::vector<double>& loads,
                                                    absl::Duration duration) const {
  OverloadSeries series;
  ASSIGN_OR_RETURN(series.peak, Peak(duration));
  series.deadline = absl::Seconds(10 * static_cast<double>(UsableCpus()) / series.peak);
  for (const double load : loads) series.points.push_back(Point(series, load, duration));
  return series;
}

}  // namespace qkserve::bench
