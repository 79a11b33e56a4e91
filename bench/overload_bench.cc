// Measures qkserve under more load than it can serve: an open loop at multiples of the closed
// loop's peak, with deadlines. See README.md.

#include <signal.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/host.h"
#include "base/status_macros.h"
#include "base/whole_file.h"
#include "bench/overload_run.h"
#include "bench/program.h"
#include "bench/report.h"
#include "bench/workload.h"

namespace qkserve::bench {
namespace {

constexpr char kHeavy[] = "resident-heavy";
constexpr char kSquare[] = "inline-square";
constexpr char kHogRole[] = "hog";

// The most memory that a server with large requests may use. --in_flight_bytes_max allows 2 GiB.
// The rest is for the program, and for bytes of calls that gRPC has read before their admission.
constexpr double kSquareMemoryMb = 2'400;

// Returns the loads of a workload, as multiples of the peak. The loads of inline-square are low,
// because the bytes of its requests alone keep the machine busy.
const std::vector<double>& LoadsOf(const std::string& workload) {
  static const auto* const heavy = new std::vector<double>{0.8, 1, 2, 5, 10};
  static const auto* const square = new std::vector<double>{0.8, 1, 1.5};
  return workload == kSquare ? *square : *heavy;
}

double Milliseconds(absl::Duration time) {
  return time == absl::InfiniteDuration() ? std::numeric_limits<double>::infinity()
                                          : absl::ToDoubleMilliseconds(time);
}

constexpr char kLegend[] =
    "good/s: requests a second that were answered in time. p50 and p99 of these, and\n"
    "p99 of refusals, in ms from when a request was due. late: answered or ended after\n"
    "the deadline. fail: ended otherwise. MB: the server's peak memory. back: ms from\n"
    "the drop to 0.8 of the peak until 90 % is in time. void: the load tool could not\n"
    "send what was due.\n";

void PrintSeries(const std::string& workload, const OverloadSeries& series, bool with_hog) {
  absl::PrintF("\n%s%s: peak %.1f requests/s, deadline %.0f ms\n", workload,
               with_hog ? " beside a hog" : "", series.peak, Milliseconds(series.deadline));
  std::vector<std::vector<std::string>> rows = {
      {"load", "good/s", "/peak", "p50", "p99", "refused", "p99", "late", "fail", "MB", "back"}};
  const auto text = [](int decimals, double value) {
    return absl::StrFormat("%.*f", decimals, value);
  };
  for (const OverloadPoint& point : series.points) {
    rows.push_back({absl::StrFormat("%g%s", point.load, point.is_void ? " void" : ""),
                    text(1, point.goodput), absl::StrFormat("%.2f", point.goodput / series.peak),
                    text(0, Milliseconds(point.p50)), text(0, Milliseconds(point.p99)),
                    absl::StrCat(point.refused), text(1, Milliseconds(point.refused_p99)),
                    absl::StrCat(point.late), absl::StrCat(point.failed + point.unanswered),
                    text(0, point.memory_mb),
                    point.load > 1 ? text(0, Milliseconds(point.recovery)) : ""});
  }
  PrintTable(rows);
  std::fflush(stdout);
}

// Returns a target for one figure. Both quartiles are the value, because a single run has none.
Target MakeTarget(const std::string& workload, const std::string& what, Target::Limit limit,
                  double bound, double value) {
  return {.workload = workload,
          .what = what,
          .limit = limit,
          .bound = bound,
          .value = {.ratio = value, .lower_quartile = value, .upper_quartile = value}};
}

double GoodputTarget(const std::string& workload, double load, bool with_hog) {
  if (workload == kSquare) return 0.7;
  return with_hog || load > 5 ? 0.8 : 0.9;
}

std::vector<Target> TargetsOf(const std::string& workload, const OverloadSeries& series,
                              bool with_hog) {
  using Limit = Target::Limit;
  std::vector<Target> targets;
  const OverloadPoint& calm = series.points.front();
  const double p99_max =
      std::round(std::min(Milliseconds(series.deadline), 2.5 * Milliseconds(calm.p99)));
  double no_status = 0;
  for (const OverloadPoint& point : series.points) {
    no_status += static_cast<double>(point.unanswered);
    if (point.is_void || point.load < 1 || (workload == kSquare && point.load < 1.5)) continue;
    const auto add = [&](const char* what, Limit limit, double bound, double value) {
      targets.push_back(MakeTarget(workload, absl::StrFormat("%g times: %s", point.load, what),
                                   limit, bound, value));
    };
    add("goodput / peak", Limit::kAtLeast, GoodputTarget(workload, point.load, with_hog),
        point.goodput / series.peak);
    const double memory_max =
        workload == kSquare ? kSquareMemoryMb : std::round(1.2 * calm.memory_mb);
    add("memory, MB", Limit::kAtMost, memory_max, point.memory_mb);
    if (workload == kSquare) continue;
    add("p99 of the accepted, ms", Limit::kAtMost, p99_max, Milliseconds(point.p99));
    add("p99 of refusals, ms", Limit::kAtMost, 10, Milliseconds(point.refused_p99));
    if (point.load > 1) {
      add("back after the drop, ms", Limit::kAtMost, 1000, Milliseconds(point.recovery));
    }
  }
  targets.push_back(MakeTarget(workload, "calls without a status", Limit::kAtMost, 0, no_status));
  return targets;
}

Json ToJson(const OverloadPoint& point) {
  return {{"load", point.load},
          {"void", point.is_void},
          {"goodput_per_second", point.goodput},
          {"sent", point.sent},
          {"refused", point.refused},
          {"late", point.late},
          {"failed", point.failed},
          {"unanswered", point.unanswered},
          {"accepted_ms_p50", Milliseconds(point.p50)},
          {"accepted_ms_p99", Milliseconds(point.p99)},
          {"refused_ms_p99", Milliseconds(point.refused_p99)},
          {"memory_mb", point.memory_mb},
          {"recovery_ms", Milliseconds(point.recovery)}};
}

Json ToJson(const std::string& workload, const OverloadSeries& series, bool with_hog) {
  Json points = Json::array();
  for (const OverloadPoint& point : series.points) points.push_back(ToJson(point));
  return {{"name", workload},
          {"with_hog", with_hog},
          {"peak_requests_per_second", series.peak},
          {"deadline_ms", Milliseconds(series.deadline)},
          {"points", points}};
}

absl::Status MeasureAll(const std::vector<std::string>& names,
                        const std::vector<Contender>& contenders, const RoundOptions& options,
                        const std::string& json) {
  const bool with_hog = contenders.size() > 1;
  const Json machine = DescribeMachine();
  PrintMachine(machine);
  std::fputs(kLegend, stdout);
  std::vector<Target> targets;
  Json workloads = Json::array();
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const std::unique_ptr<OverloadRun> run,
                     OverloadRun::Create(WorkloadCalled(name), *contenders[0].server));
    for (int round = 0; round < options.rounds; ++round) {
      ASSIGN_OR_RETURN(const OverloadSeries series, run->Measure(LoadsOf(name), options.turn));
      PrintSeries(name, series, with_hog);
      const std::vector<Target> more = TargetsOf(name, series, with_hog);
      targets.insert(targets.end(), more.begin(), more.end());
      workloads.push_back(ToJson(name, series, with_hog));
    }
  }
  PrintTargets(targets);
  if (json.empty()) return absl::OkStatus();
  return WriteJson(json, machine, options, std::move(workloads), targets);
}

// Keeps half of the CPUs busy until SIGTERM.
absl::Status Hog(const std::string& port_file) {
  sigset_t termination;
  sigemptyset(&termination);
  sigaddset(&termination, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &termination, nullptr);
  for (int64_t i = 0; i < std::max<int64_t>(1, UsableCpus() / 2); ++i) {
    std::thread([] {
      for (volatile unsigned spin = 0;;) spin = spin + 1;
    }).detach();
  }
  // The parent waits for this file, although there is no port.
  RETURN_IF_ERROR(WriteFileWhole(port_file, {"0\n"}, IfIrreplaceable::kFail));
  int signal = 0;
  sigwait(&termination, &signal);
  return absl::OkStatus();
}

}  // namespace
}  // namespace qkserve::bench

int main(int argc, char** argv) {
  using namespace qkserve::bench;  // NOLINT(google-build-using-namespace)
  Program program;
  program.name = "overload_bench";
  program.about = "Answers in time when more is asked for than the machine can do.";
  bool with_hog = false;
  program.add_flags = [&with_hog](qkserve::Flags& flags) {
    flags.Add("with_hog", &with_hog, "Beside a process that keeps half of the CPUs busy");
  };
  program.workloads = {kHeavy, kSquare};
  program.roles = {kHogRole};
  program.rounds.rounds = 1;
  program.rounds.turn = absl::Seconds(15);
  program.contenders = [&with_hog](const ProgramPaths& paths) {
    std::vector<ContenderCommand> all = {
        {std::string(kQkserveName), QkserveCommand(paths.qkserve)}};
    if (with_hog) all.push_back({kHogRole, {paths.bench, absl::StrCat("--role=", kHogRole)}});
    return all;
  };
  program.compare = MeasureAll;
  program.serve = [](const std::string& /*role*/, const std::string& port_file) {
    return Hog(port_file);
  };
  return RunProgram(program, argc, argv);
}
