#include "bench/measurement.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <random>
#include <thread>

#include "bench/statistics.h"
#include "client/client.h"
#include "core/clock.h"
#include "core/mutex.h"

namespace qkserve::bench {
namespace {

constexpr std::chrono::seconds kCallTimeout(60);

absl::Time Now() { return Clock::Monotonic()->Now(); }

// Runs turn(contender) for each of `count` contenders in each round.
template <typename Turn>
absl::Status TakeTurns(size_t count, const RoundOptions& options, const Turn& turn) {
  std::mt19937_64 random(options.seed);
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  for (int round = 0; round < options.rounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    for (const size_t contender : order) {
      absl::Status status = turn(contender);
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

absl::Status LatencyTurn(const Ask& ask, const RoundOptions& options, LatencySamples& samples) {
  const absl::Time measured_from = Now() + options.warm_up;
  while (Now() < measured_from) {
    v1::Receipt receipt;
    absl::Status status = ask(&receipt);
    if (!status.ok()) return status;
  }
  const size_t first = samples.latency_us.size();
  const auto measured = [&] { return samples.latency_us.size() - first; };
  const absl::Time end = Now() + options.turn;
  while (Now() < end || measured() < static_cast<size_t>(options.requests_min)) {
    v1::Receipt receipt;
    const absl::Time sent = Now();
    absl::Status status = ask(&receipt);
    const absl::Duration latency = Now() - sent;
    if (!status.ok()) return status;
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

// What the callers of one turn add up. Thread-safe.
class TurnTally {
 public:
  void Add(const absl::Status& status, double requests, absl::Span<const double> batch_requests) {
    MutexLock lock(&mutex_);
    status_.Update(status);
    requests_ += requests;
    batch_requests_.insert(batch_requests_.end(), batch_requests.begin(), batch_requests.end());
  }

  absl::Status MoveTo(ThroughputSamples& samples, absl::Duration turn) {
    MutexLock lock(&mutex_);
    samples.round_requests_per_s.push_back(requests_ / absl::ToDoubleSeconds(turn));
    samples.batch_requests.insert(samples.batch_requests.end(), batch_requests_.begin(),
                                  batch_requests_.end());
    return status_;
  }

 private:
  Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  double requests_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<double> batch_requests_ ABSL_GUARDED_BY(mutex_);
};

struct Window {
  absl::Time begin;
  absl::Time end;

  // The part of [sent, answered] that is within.
  double PartOf(absl::Time sent, absl::Time answered) const {
    const absl::Duration within = std::min(answered, end) - std::max(sent, begin);
    return within <= absl::ZeroDuration() ? 0 : absl::FDivDuration(within, answered - sent);
  }
};

void CallRepeatedly(const Remote& remote, const v1::ScoreRequest& request, int caller,
                    const Window& window, TurnTally& tally) {
  double requests = 0;
  std::vector<double> batch_requests;
  v1::ScoreResponse response;
  absl::Status status;
  for (absl::Time sent = Now(); status.ok() && sent < window.end;) {
    status = remote.Score(request, caller, &response);
    const absl::Time answered = Now();
    const double part = window.PartOf(sent, answered);
    requests += part;
    if (part > 0) {
      batch_requests.push_back(static_cast<double>(response.receipt().batch_requests()));
    }
    sent = answered;
  }
  tally.Add(status, requests, batch_requests);
}

}  // namespace

absl::StatusOr<std::vector<LatencySamples>> MeasureLatency(absl::Span<const Ask> contenders,
                                                           const RoundOptions& options) {
  std::vector<LatencySamples> samples(contenders.size());
  const absl::Status status = TakeTurns(contenders.size(), options, [&](size_t contender) {
    return LatencyTurn(contenders[contender], options, samples[contender]);
  });
  if (!status.ok()) return status;
  return samples;
}

Remote::Remote(const std::string& address, int channels) {
  for (int i = 0; i < channels; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetMaxSendMessageSize(-1);
    // Otherwise channels to one address share one connection.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stubs_.push_back(v1::ScoringService::NewStub(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments)));
  }
}

absl::Status Remote::Score(const v1::ScoreRequest& request, int channel,
                           v1::ScoreResponse* response) const {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
  return FromGrpcStatus(
      stubs_[static_cast<size_t>(channel) % stubs_.size()]->Score(&context, request, response));
}

absl::StatusOr<std::vector<ThroughputSamples>> MeasureThroughput(
    absl::Span<const Remote* const> contenders, const v1::ScoreRequest& request, int concurrency,
    const RoundOptions& options) {
  std::vector<ThroughputSamples> samples(contenders.size());
  const absl::Status status = TakeTurns(contenders.size(), options, [&](size_t contender) {
    TurnTally tally;
    const absl::Time begin = Now() + options.warm_up;
    const Window window = {begin, begin + options.turn};
    std::vector<std::thread> callers;
    callers.reserve(static_cast<size_t>(concurrency));
    for (int caller = 0; caller < concurrency; ++caller) {
      callers.emplace_back(
          [&, caller] { CallRepeatedly(*contenders[contender], request, caller, window, tally); });
    }
    for (std::thread& caller : callers) caller.join();
    return tally.MoveTo(samples[contender], options.turn);
  });
  if (!status.ok()) return status;
  return samples;
}

}  // namespace qkserve::bench
