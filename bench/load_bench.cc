// Compares the load tool with a minimal client. The engine of qkctl load and an asynchronous client
// in generated code take turns. Each runs closed loops of tiny requests against the same server.

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status_macros.h"
#include "bench/closed_loop.h"
#include "bench/contender.h"
#include "bench/program.h"
#include "bench/report.h"
#include "bench/statistics.h"
#include "bench/workload.h"
#include "qkserve/channel.h"
#include "tools/load/reply.h"
#include "tools/load/request_set.h"
#include "tools/load/run_load.h"
#include "tools/report/text_table.h"

namespace qkserve::bench {
namespace {

struct Clients {
  int concurrency = 64;  // callers of each closed loop
  int channels = 1;      // connections of each client
};

struct Rates {
  std::vector<double> tool, bare;  // requests/s, one value for each round
};

absl::StatusOr<double> BareRate(const Remote& remote, const std::vector<v1::ScoreRequest>& requests,
                                int concurrency, const RoundOptions& options) {
  const absl::Time begin = Clock::Monotonic()->Now() + options.warm_up;
  const Window window = {begin, begin + options.turn};
  ClosedLoop loop(remote, requests, concurrency, window);
  ASSIGN_OR_RETURN(const LoopTally tally, loop.Join());
  return tally.requests / absl::ToDoubleSeconds(options.turn);
}

absl::StatusOr<double> ToolRate(const LoadTarget& target, int concurrency,
                                const RoundOptions& options) {
  LoadOptions load;
  load.concurrency = concurrency;
  load.warm_up = options.warm_up;
  load.duration = options.turn;
  const std::atomic<bool> never{false};
  const LoadResult result = RunLoad(load, target, Clock::Monotonic(), never);
  if (result.counts.Errors() > 0) return result.counts.FirstError();
  return result.RequestsPerSecond();
}

absl::StatusOr<Rates> Measure(const Contender& server, const Clients& clients,
                              const RoundOptions& options) {
  RequestSetOptions request_options;
  request_options.workload = WorkloadCalled("tiny");
  ASSIGN_OR_RETURN(const RequestSet set, BuildRequestSet(request_options));
  std::vector<v1::ScoreRequest> requests;
  for (const RequestSet::Request& request : set.requests) {
    requests.push_back(*ParseRequest(request.bytes));
  }
  const std::string& address = server.server->address();
  const Remote remote(address, server.server->pid(), clients.channels);
  ASSIGN_OR_RETURN(
      std::vector<std::shared_ptr<grpc::Channel>> channels,
      MakeChannels({.address = address, .channels = clients.channels, .attempts_max = 1}));
  const LoadTarget target = {.channels = std::move(channels), .requests = &set};
  Rates rates;
  for (int round = 0; round < options.rounds; ++round) {
    // The order alternates from round to round, so that a machine that slows down slows both
    // clients.
    for (int turn = 0; turn < 2; ++turn) {
      const bool tools_turn = turn == round % 2;
      ASSIGN_OR_RETURN(const double rate,
                       tools_turn ? ToolRate(target, clients.concurrency, options)
                                  : BareRate(remote, requests, clients.concurrency, options));
      (tools_turn ? rates.tool : rates.bare).push_back(rate);
    }
  }
  return rates;
}

absl::Status Compare(const Clients& clients, const std::vector<Contender>& contenders,
                     const RoundOptions& options, const std::string& json) {
  ASSIGN_OR_RETURN(const Rates rates, Measure(contenders[0], clients, options));
  const double tool = Median(rates.tool), bare = Median(rates.bare);
  const Ratio ratio = CompareRounds(tool, bare, rates.tool, rates.bare);
  std::printf(
      "n=1 m=16 d=64 inline, %s, %s;\n"
      "medians of %d rounds of %.1f s in turns\n"
      "qkctl load    %10.0f requests/s\n"
      "bare client   %10.0f requests/s\n"
      "ratio         %10.2f (quartiles of the rounds %.2f to %.2f)\n",
      CountText(clients.concurrency, "caller").c_str(),
      CountText(clients.channels, "connection").c_str(), options.rounds,
      absl::ToDoubleSeconds(options.turn), tool, bare, ratio.ratio, ratio.lower_quartile,
      ratio.upper_quartile);
  if (json.empty()) return absl::OkStatus();
  const Json tiny = {{"name", "tiny"},
                     {"tool_requests_per_second", rates.tool},
                     {"bare_requests_per_second", rates.bare},
                     {"ratio", ToJson(ratio)}};
  return WriteJson(json, DescribeMachine(), options, Json::array({tiny}), {});
}

}  // namespace
}  // namespace qkserve::bench

int main(int argc, char** argv) {
  using namespace qkserve::bench;  // NOLINT(google-build-using-namespace)
  Program program;
  program.name = "load_bench";
  program.about = "Requests a second that qkctl load drives, beside a minimal client.";
  Clients clients;
  program.add_flags = [&clients](qkserve::Flags& flags) {
    flags.Add("concurrency", &clients.concurrency, "Callers of the closed loops");
    flags.Add("channels", &clients.channels, "Connections of each client");
  };
  program.workloads = {"tiny"};
  program.rounds.rounds = 9;
  program.rounds.turn = absl::Seconds(1);
  program.rounds.warm_up = absl::Milliseconds(200);
  program.contenders = [](const ProgramPaths& paths) {
    return std::vector<ContenderCommand>{
        {std::string(kQkserveName), QkserveCommand(paths.qkserve)}};
  };
  program.compare = [&clients](const std::vector<std::string>& /*workloads*/, const auto&... rest) {
    return Compare(clients, rest...);
  };
  return RunProgram(program, argc, argv);
}
