// Measures a tenant that asks for a tenth of what the server can do: alone, and beside a tenant
// that asks for ten times as much as the server can do. See README.md.

#include <atomic>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "bench/contender.h"
#include "bench/program.h"
#include "bench/report.h"
#include "bench/tensors.h"
#include "bench/workload.h"
#include "qkserve/channel.h"
#include "qkserve/client.h"
#include "tools/load/request_set.h"
#include "tools/load/run_load.h"

namespace qkserve::bench {
namespace {

constexpr char kKeySet[] = "fairness";
constexpr int kPeakCallers = 16;

// The rates of the tenants, as multiples of the rate that the server can do.
constexpr double kQuietPart = 0.1;
constexpr double kFloodPart = 10;

// The promise: the quiet tenant's p99 beside the flood is at most kSlowerMax times its p99 alone,
// plus one tile.
constexpr double kSlowerMax = 3;
constexpr absl::Duration kTile = absl::Milliseconds(5);

struct Measured {
  double peak = 0;           // requests/s of a closed loop
  LoadCounts alone, beside;  // the quiet tenant's requests
  LoadCounts flood;
};

// Returns the target of a tenant. Each tenant has separate connections, as separate programs would
// have.
absl::StatusOr<LoadTarget> Target(const std::string& address, const std::string& tenant,
                                  const RequestSet& requests) {
  LoadTarget target = {.requests = &requests,
                       .metadata = CallerMetadata(tenant, Priority::kNormal)};
  ASSIGN_OR_RETURN(target.channels,
                   MakeChannels({.address = address, .channels = 2, .attempts_max = 1}));
  return target;
}

LoadOptions OpenLoop(double rate, absl::Duration duration, const RoundOptions& rounds, int round) {
  LoadOptions load;
  load.rate_from = load.rate_to = rate;
  load.warm_up = rounds.warm_up;
  load.duration = duration;
  load.seed = rounds.seed + static_cast<uint64_t>(round);
  return load;
}

absl::StatusOr<double> Peak(const LoadTarget& target, const RoundOptions& rounds) {
  LoadOptions load;
  load.concurrency = kPeakCallers;
  load.warm_up = rounds.warm_up;
  load.duration = rounds.turn;
  const LoadResult result = RunLoad(load, target, Clock::Monotonic(), std::atomic<bool>{false});
  if (result.counts.Errors() > 0) return result.counts.FirstError();
  return result.RequestsPerSecond();
}

// Measures the quiet tenant alone, then beside the flood.
void MeasureRound(const LoadTarget& quiet, const LoadTarget& flood, const RoundOptions& rounds,
                  int round, Measured* measured) {
  const LoadOptions asked = OpenLoop(kQuietPart * measured->peak, rounds.turn, rounds, round);
  const std::atomic<bool> never{false};
  measured->alone.Merge(RunLoad(asked, quiet, Clock::Monotonic(), never).counts);
  // The flood begins with the quiet tenant's warm-up, and ends when the quiet tenant's load ends.
  std::atomic<bool> stop{false};
  LoadResult flooded;
  std::thread thread([&] {
    const LoadOptions load =
        OpenLoop(kFloodPart * measured->peak, rounds.turn + absl::Minutes(1), rounds, round);
    flooded = RunLoad(load, flood, Clock::Monotonic(), stop);
  });
  measured->beside.Merge(RunLoad(asked, quiet, Clock::Monotonic(), never).counts);
  stop = true;
  thread.join();
  measured->flood.Merge(flooded.counts);
}

absl::StatusOr<Measured> Measure(const std::string& address, const LoadWorkload& workload,
                                 const RoundOptions& rounds) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, Client::Create({.address = address}));
  std::mt19937_64 random(1);
  const v1::Tensor keys = RandomMatrix(workload.m, workload.d, random);
  const absl::Span<const float> elements = Floats(keys);
  const TensorView view = Matrix({elements.data(), elements.size()}, workload.m, workload.d);
  RETURN_IF_ERROR(client->PutKeySet(kKeySet, view).status());
  ASSIGN_OR_RETURN(const RequestSet requests,
                   BuildRequestSet({.workload = workload, .key_sets = {{kKeySet}}}));
  ASSIGN_OR_RETURN(const LoadTarget quiet, Target(address, "quiet", requests));
  ASSIGN_OR_RETURN(const LoadTarget flood, Target(address, "flood", requests));
  Measured measured;
  ASSIGN_OR_RETURN(measured.peak, Peak(quiet, rounds));
  for (int round = 0; round < rounds.rounds; ++round) {
    MeasureRound(quiet, flood, rounds, round, &measured);
  }
  return measured;
}

std::vector<std::string> Row(const std::string& name, const LoadCounts& counts) {
  const auto time = [&counts](double percentile) {
    return TimeText(absl::ToDoubleMicroseconds(counts.response.Percentile(percentile)));
  };
  return {name,
          absl::StrCat(counts.Due()),
          absl::StrCat(counts.ok),
          absl::StrCat(counts.Errors()),
          time(50),
          time(99)};
}

void Print(const Measured& measured) {
  std::printf("the server can do %.0f requests/s\n", measured.peak);
  PrintTable({{"tenant", "due", "answered", "refused", "p50", "p99"},
              Row("quiet, alone", measured.alone),
              Row("quiet, beside the flood", measured.beside),
              Row("flood", measured.flood)});
  const absl::Duration alone = measured.alone.response.Percentile(99);
  const absl::Duration beside = measured.beside.response.Percentile(99);
  const absl::Duration limit = alone * kSlowerMax + kTile;
  const LoadCounts& flood = measured.flood;
  const bool is_void =
      100 * flood.unsent > flood.Due() || 100 * measured.beside.unsent > measured.beside.Due();
  const bool is_met = beside <= limit && measured.beside.Errors() == 0;
  std::printf("p99 beside the flood %s, at most %s; none refused: %s\n",
              absl::FormatDuration(beside).c_str(), absl::FormatDuration(limit).c_str(),
              is_void  ? "VOID, the load tool could not send all that was due"
              : is_met ? "met"
                       : "NOT MET");
}

absl::Status Compare(const std::vector<std::string>& workloads,
                     const std::vector<Contender>& contenders, const RoundOptions& rounds,
                     const std::string& /*json*/) {
  PrintMachine(DescribeMachine(), rounds);
  for (const std::string& name : workloads) {
    ASSIGN_OR_RETURN(const Measured measured,
                     Measure(contenders[0].server->address(), WorkloadCalled(name), rounds));
    Print(measured);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace qkserve::bench

int main(int argc, char** argv) {
  using namespace qkserve::bench;  // NOLINT(google-build-using-namespace)
  Program program;
  program.name = "fairness_bench";
  program.about = "A quiet tenant alone, and beside one that floods the server.";
  program.workloads = {"resident-heavy"};
  program.rounds.rounds = 4;
  program.rounds.turn = absl::Seconds(20);
  program.rounds.warm_up = absl::Seconds(1);
  program.contenders = [](const ProgramPaths& paths) {
    return std::vector<ContenderCommand>{
        {std::string(kQkserveName), QkserveCommand(paths.qkserve)}};
  };
  program.compare = Compare;
  return RunProgram(program, argc, argv);
}
