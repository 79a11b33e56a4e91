#include "tools/load/run_load.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "base/host.h"
#include "tools/load/sender.h"

namespace qkserve {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(100);
constexpr std::chrono::milliseconds kLook{10};

// The most points of the timeline. They are enough to see a stall, and few enough to draw.
constexpr int kPointsMax = 100;
constexpr int kStretches = 12;

// The time that an interrupted load waits for requests in flight.
constexpr absl::Duration kLastWait = absl::Seconds(1);

absl::Duration IntervalOf(absl::Duration duration, int points) {
  return std::max(kTick, absl::Ceil(duration / points, kTick));
}

// Cuts the counts of a load into intervals.
class TimelineBuilder {
 public:
  TimelineBuilder(const LoadOptions& options, int points, std::vector<LoadInterval>* timeline)
      : options_(options), interval_(IntervalOf(options.duration, points)), timeline_(timeline) {}

  void Tick(absl::Duration at, const LoadCounts& counts) {
    if (at >= begin_ + interval_) Cut(at, counts);
  }

  void Finish(absl::Duration at, const LoadCounts& counts) {
    if (at > begin_ &&
        counts.sent + counts.ok + counts.Errors() > last_.sent + last_.ok + last_.Errors())
      Cut(at, counts);
  }

 private:
  void Cut(absl::Duration at, const LoadCounts& counts) {
    timeline_->push_back(MakeInterval(options_, begin_, at - begin_, counts.Since(last_)));
    last_ = counts;
    begin_ = at;
  }

  const LoadOptions& options_;
  const absl::Duration interval_;
  std::vector<LoadInterval>* const timeline_;
  LoadCounts last_;
  absl::Duration begin_;  // start of the next interval, counted from the start of the measured time
};

// Watches the senders until they are done.
void Watch(SenderContext& context, const LoadRecorder& recorder, const std::atomic<bool>& stop,
           const LoadObserver& observer, LoadResult* result) {
  TimelineBuilder timeline(result->options, kPointsMax, &result->timeline);
  TimelineBuilder stretches(result->options, kStretches, &result->stretches);
  absl::Duration next_tick = kTick;
  absl::Duration stopped_at = absl::InfiniteDuration();
  bool measured = false;
  const auto measure = [&](absl::Duration now, const LoadCounts& counts) {
    if (std::exchange(measured, true)) return;
    result->elapsed = std::max(absl::ZeroDuration(), now - result->options.warm_up);
    result->completed = counts.ok;
    result->completed_good = counts.good;
  };
  // A load lasts for its whole duration, even if no more requests are due.
  while (context.running > 0 || !(measured || context.nobody_there)) {
    std::this_thread::sleep_for(kLook);
    const absl::Duration now = context.Now();
    if (stop && !result->interrupted) {
      result->interrupted = context.stop = true;
      stopped_at = now;
    }
    if (!measured && (context.stop || now >= context.end)) measure(now, recorder.Snapshot());
    if (now - stopped_at > kLastWait) context.cancel = true;
    if (now < next_tick) continue;
    next_tick = now + kTick;
    const LoadCounts counts = recorder.Snapshot();
    timeline.Tick(now - result->options.warm_up, counts);
    stretches.Tick(now - result->options.warm_up, counts);
    if (observer && !observer({result->options, now, counts})) {
      // `stop` comes first, so that no call begins after the others were cancelled.
      context.stop = true;
      context.cancel = true;
      result->interrupted = true;
      measure(now, counts);
    }
  }
  const absl::Duration now = context.Now();
  const LoadCounts counts = recorder.Snapshot();
  measure(now, counts);
  timeline.Finish(now - result->options.warm_up, counts);
  stretches.Finish(now - result->options.warm_up, counts);
}

// Returns the expected number of requests from `begin` to `end` of the measured time.
double ExpectedWithin(const LoadOptions& options, absl::Duration begin, absl::Duration end) {
  const RateProfile profile = options.Profile();
  return profile.ExpectedBefore(options.warm_up + end) -
         profile.ExpectedBefore(options.warm_up + begin);
}

// Corrects `due` of the timeline after an early end, because later requests did not become due.
void EndDue(absl::Duration end, const LoadOptions& options, std::vector<LoadInterval>& timeline) {
  if (options.concurrency > 0) return;
  for (LoadInterval& interval : timeline) {
    if (interval.begin + interval.length <= end) continue;
    interval.due = ExpectedWithin(options, std::min(interval.begin, end), end);
  }
}

}  // namespace

LoadInterval MakeInterval(const LoadOptions& options, absl::Duration begin, absl::Duration length,
                          const LoadCounts& counts) {
  LoadInterval interval;
  interval.begin = begin;
  interval.length = length;
  if (options.concurrency == 0) interval.due = ExpectedWithin(options, begin, begin + length);
  interval.sent = counts.sent;
  interval.ok = counts.ok;
  interval.good = counts.good;
  interval.errors = counts.Errors();
  if (counts.ok == 0) return interval;
  interval.p50 = counts.response.Percentile(50);
  interval.p90 = counts.response.Percentile(90);
  interval.p99 = counts.response.Percentile(99);
  interval.p999 = counts.response.Percentile(99.9);
  interval.p9999 = counts.response.Percentile(99.99);
  interval.max = counts.response.Max();
  if (counts.batches > 0) {
    interval.batch_requests_mean = static_cast<double>(counts.ok) / counts.batches;
  }
  interval.queued_mean = counts.queued.Mean();
  interval.computed_mean = counts.computed.Mean();
  return interval;
}

LoadInterval LoadResult::Whole() const {
  LoadInterval whole = MakeInterval(options, absl::ZeroDuration(), elapsed, counts);
  if (whole.due.has_value()) whole.due = static_cast<double>(counts.Due());
  return whole;
}

double LoadResult::PerSecond(int64_t count) const {
  const double seconds = absl::ToDoubleSeconds(elapsed);
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

bool LoadResult::KeptSchedule() const {
  return static_cast<double>(counts.sent) >= 0.99 * static_cast<double>(counts.Due());
}

LoadResult RunLoad(const LoadOptions& options, const LoadTarget& target, const Clock* clock,
                   const std::atomic<bool>& stop, const LoadObserver& observer) {
  int senders = static_cast<int>(std::min<int64_t>(target.channels.size(), UsableCpus()));
  if (options.concurrency > 0) senders = std::min(senders, options.concurrency);

  LoadResult result;
  result.options = options;
  LoadRecorder recorder(senders, {options.timeout, options.latency_limit});
  SenderContext context(result.options, target, clock, &recorder, senders);
  std::vector<std::unique_ptr<Sender>> all;
  all.reserve(static_cast<size_t>(senders));
  for (int i = 0; i < senders; ++i) all.push_back(std::make_unique<Sender>(i, &context));
  context.begin = clock->Now();
  for (const std::unique_ptr<Sender>& sender : all) sender->Start();
  Watch(context, recorder, stop, observer, &result);
  for (const std::unique_ptr<Sender>& sender : all) sender->Join();

  result.counts = recorder.Snapshot();
  result.nobody_there = context.NobodyThere();
  EndDue(result.elapsed, options, result.timeline);
  EndDue(result.elapsed, options, result.stretches);
  return result;
}

}  // namespace qkserve
