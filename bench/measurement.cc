#include "bench/measurement.h"

#include <random>

#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "bench/closed_loop.h"
#include "bench/statistics.h"

namespace qkserve::bench {
namespace {

absl::Time Now() { return Clock::Monotonic()->Now(); }

// Calls turn(contender, samples) for each contender in each round. Returns the samples of all
// contenders.
template <typename Samples, typename Contender, typename Turn>
absl::StatusOr<std::vector<Samples>> TakeTurns(absl::Span<const Contender> contenders,
                                               const RoundOptions& options, const Turn& turn) {
  std::vector<Samples> samples(contenders.size());
  std::vector<size_t> order(contenders.size());
  for (size_t i = 0; i < order.size(); ++i) {
    samples[i].name = contenders[i].name;
    order[i] = i;
  }
  std::mt19937_64 random(options.seed);
  for (int round = 0; round < options.rounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    for (const size_t i : order) {
      RETURN_IF_ERROR(turn(contenders[i], samples[i]));
    }
  }
  return samples;
}

absl::Status LatencyTurn(const Ask& ask, const RoundOptions& options, LatencySamples& samples) {
  const absl::Time measured_from = Now() + options.warm_up;
  while (Now() < measured_from) {
    v1::Receipt receipt;
    RETURN_IF_ERROR(ask.ask(&receipt));
  }
  const size_t first = samples.latency_us.size();
  const auto measured = [&] { return samples.latency_us.size() - first; };
  const absl::Time end = Now() + options.turn;
  while (Now() < end || measured() < static_cast<size_t>(options.requests_min)) {
    v1::Receipt receipt;
    const absl::Time sent = Now();
    RETURN_IF_ERROR(ask.ask(&receipt));
    const absl::Duration latency = Now() - sent;
    samples.latency_us.push_back(absl::ToDoubleMicroseconds(latency));
    samples.queued_us.push_back(static_cast<double>(receipt.queued_ns()) / 1e3);
    samples.computed_us.push_back(static_cast<double>(receipt.computed_ns()) / 1e3);
  }
  samples.round_latency_us.push_back(
      Median(absl::MakeConstSpan(samples.latency_us).subspan(first)));
  samples.round_computed_us.push_back(
      Median(absl::MakeConstSpan(samples.computed_us).subspan(first)));
  return absl::OkStatus();
}

// Runs one turn of a contender with many callers.
absl::Status ThroughputTurn(const Remote& remote, absl::Span<const v1::ScoreRequest> requests,
                            int concurrency, const RoundOptions& options,
                            ThroughputSamples& samples) {
  const absl::Time begin = Now() + options.warm_up;
  ClosedLoop loop(remote, requests, concurrency, {begin, begin + options.turn});
  absl::SleepFor(begin - Now());
  const absl::Duration server_cpu = remote.CpuTime();
  const absl::Duration client_cpu = OwnCpuTime();
  absl::SleepFor(options.turn);
  const absl::Duration server_cpu_spent = remote.CpuTime() - server_cpu;
  const absl::Duration client_cpu_spent = OwnCpuTime() - client_cpu;

  ASSIGN_OR_RETURN(const LoopTally tally, loop.Join());
  samples.round_requests_per_s.push_back(tally.requests / absl::ToDoubleSeconds(options.turn));
  samples.round_server_cpu_us.push_back(absl::ToDoubleMicroseconds(server_cpu_spent) /
                                        tally.requests);
  samples.round_client_cpu_us.push_back(absl::ToDoubleMicroseconds(client_cpu_spent) /
                                        tally.requests);
  for (const double latency : tally.latency_us) samples.latency_us.push_back(latency);
  for (const double batch : tally.batch_requests) samples.batch_requests.push_back(batch);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<LatencySamples>> MeasureLatency(absl::Span<const Ask> contenders,
                                                           const RoundOptions& options) {
  return TakeTurns<LatencySamples>(contenders, options,
                                   [&](const Ask& contender, LatencySamples& samples) {
                                     return LatencyTurn(contender, options, samples);
                                   });
}

absl::StatusOr<std::vector<ThroughputSamples>> MeasureThroughput(
    absl::Span<const Contender> contenders, absl::Span<const v1::ScoreRequest> requests,
    int concurrency, const RoundOptions& options) {
  const auto turn = [&](const Contender& contender, ThroughputSamples& samples) {
    if (!contender.serves_many) return absl::OkStatus();
    return ThroughputTurn(*contender.remote, requests, concurrency, options, samples);
  };
  ASSIGN_OR_RETURN(std::vector<ThroughputSamples> all,
                   TakeTurns<ThroughputSamples>(contenders, options, turn));
  std::erase_if(all, [](const auto& one) { return one.round_requests_per_s.empty(); });
  return all;
}

}  // namespace qkserve::bench
