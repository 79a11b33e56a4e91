// inline_bench: qkserve on inline keys beside its baselines, interleaved in one run. See README.md.

#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "bench/baseline_server.h"
#include "bench/contenders.h"
#include "bench/report.h"
#include "bench/workload.h"
#include "core/attention/kernel.h"
#include "core/command_line.h"

ABSL_FLAG(std::string, workload, "all",
          "Workloads, separated by commas: tiny, inline-small, inline-large, inline-square.");
ABSL_FLAG(int, rounds, 15, "Rounds of each comparison.");
ABSL_FLAG(double, seconds_per_round, 0.1, "Measured time of a contender in a round.");
ABSL_FLAG(std::string, json, "", "File for all figures.");
ABSL_FLAG(std::string, qkserve, "", "The qkserve program; the one beside this program if empty.");
ABSL_FLAG(std::string, kernel, "auto", "OpenBLAS kernel of the baselines; auto: the CPU's best.");
ABSL_FLAG(std::string, role, "bench",
          "bench, or a server that the bench runs as its own child: echo, stock.");
ABSL_FLAG(std::string, port_file, "", "With --role=echo or stock: where the port is written.");
ABSL_FLAG(int, blas_threads, 1, "With --role=stock: threads of one OpenBLAS call.");

namespace qkserve::bench {
namespace {

constexpr int kRoundsMax = 1000;
constexpr double kSecondsPerRoundMax = 60;

bool IsOurs(const absl::CommandLineFlag& flag) {
  return FlagIsDefinedIn(flag, "bench/inline_bench.cc");
}

absl::StatusOr<std::vector<Workload>> ChosenWorkloads(const std::string& flag) {
  std::vector<Workload> chosen;
  for (const absl::string_view name : absl::StrSplit(flag, ',', absl::SkipEmpty())) {
    bool known = false;
    for (const Workload& workload : AllWorkloads()) {
      if (name != "all" && name != workload.name) continue;
      chosen.push_back(workload);
      known = true;
    }
    if (!known) return absl::InvalidArgumentError(absl::StrCat("--workload: unknown ", name));
  }
  if (chosen.empty()) return absl::InvalidArgumentError("--workload names no workload");
  return chosen;
}

absl::StatusOr<RoundOptions> ChosenRounds() {
  RoundOptions options;
  options.rounds = absl::GetFlag(FLAGS_rounds);
  if (options.rounds < 1 || options.rounds > kRoundsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("--rounds must be 1 to ", kRoundsMax, "; was ", options.rounds));
  }
  const double seconds = absl::GetFlag(FLAGS_seconds_per_round);
  if (!(seconds > 0 && seconds <= kSecondsPerRoundMax)) {
    return absl::InvalidArgumentError(absl::StrCat("--seconds_per_round must be above 0, at most ",
                                                   kSecondsPerRoundMax, "; was ", seconds));
  }
  options.turn = absl::Seconds(seconds);
  return options;
}

absl::Status RunBench(const std::vector<Workload>& workloads, const RoundOptions& options) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return absl::InternalError("cannot find this program: " + error.message());
  std::string qkserve_path = absl::GetFlag(FLAGS_qkserve);
  if (qkserve_path.empty()) qkserve_path = (self.parent_path() / "qkserve").string();
  if (!std::filesystem::exists(qkserve_path, error)) {
    return absl::NotFoundError(absl::StrCat("no qkserve at ", qkserve_path, "; see --qkserve"));
  }
  absl::StatusOr<std::vector<Contender>> contenders = StartContenders(self.string(), qkserve_path);
  if (!contenders.ok()) return contenders.status();

  const Machine machine = DescribeMachine();
  PrintMachine(machine, options);
  std::vector<WorkloadResult> results;
  for (const Workload& workload : workloads) {
    absl::StatusOr<WorkloadResult> result = Compare(workload, *contenders, options);
    if (!result.ok()) {
      return absl::Status(result.status().code(),
                          absl::StrCat(workload.name, ": ", result.status().message()));
    }
    PrintWorkload(*result);
    std::fflush(stdout);
    results.push_back(*std::move(result));
  }
  PrintTargets(EvaluateTargets(results));
  const std::string json = absl::GetFlag(FLAGS_json);
  if (!json.empty()) {
    absl::Status written = WriteJson(json, machine, options, results);
    if (!written.ok()) return written;
  }
  return StopContenders(*contenders);
}

struct Plan {
  std::vector<Workload> workloads;
  RoundOptions rounds;
};

absl::StatusOr<Plan> MakePlan(const absl::StatusOr<CommandLine>& command_line) {
  if (!command_line.ok()) return command_line.status();
  if (!command_line->arguments.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("unexpected argument '", command_line->arguments[0], "'"));
  }
  const std::string role = absl::GetFlag(FLAGS_role);
  if (role != "bench" && role != "echo" && role != "stock") {
    return absl::InvalidArgumentError(absl::StrCat("--role: unknown ", role));
  }
  if (role != "bench" && absl::GetFlag(FLAGS_port_file).empty()) {
    return absl::InvalidArgumentError(absl::StrCat("--role=", role, " needs --port_file"));
  }
  const absl::StatusOr<std::vector<Workload>> workloads =
      ChosenWorkloads(absl::GetFlag(FLAGS_workload));
  if (!workloads.ok()) return workloads.status();
  const absl::StatusOr<RoundOptions> rounds = ChosenRounds();
  if (!rounds.ok()) return rounds.status();
  return Plan{*workloads, *rounds};
}

int Fail(const absl::Status& status, int code) {
  std::fflush(stdout);
  std::fprintf(stderr, "error: %s: %s\n", absl::StatusCodeToString(status.code()).c_str(),
               std::string(status.message()).c_str());
  if (code == 2) std::fprintf(stderr, "See inline_bench --help.\n");
  return code;
}

int Main(int argc, char** argv) {
  const absl::StatusOr<CommandLine> command_line =
      ParseCommandLine({argv + 1, static_cast<size_t>(argc - 1)}, IsOurs);
  if (command_line.ok() && command_line->help) {
    std::printf(
        "Usage: inline_bench [FLAGS]\n\nMeasures qkserve on inline keys beside its "
        "baselines.\n\n%s",
        FlagHelp(IsOurs).c_str());
    return 0;
  }
  const absl::StatusOr<Plan> plan = MakePlan(command_line);
  if (!plan.ok()) return Fail(plan.status(), 2);
  absl::Status status = EnsureBlasKernel(absl::GetFlag(FLAGS_kernel), argv);
  if (!status.ok()) return Fail(status, 1);

  const std::string role = absl::GetFlag(FLAGS_role);
  if (role == "bench") {
    status = RunBench(plan->workloads, plan->rounds);
  } else {
    status = ServeBaseline(role == "echo" ? Baseline::kEcho : Baseline::kStock,
                           absl::GetFlag(FLAGS_blas_threads), absl::GetFlag(FLAGS_port_file));
  }
  return status.ok() ? 0 : Fail(status, 1);
}

}  // namespace
}  // namespace qkserve::bench

int main(int argc, char** argv) { return qkserve::bench::Main(argc, argv); }
