#include "bench/program.h"

#include <cstdio>
#include <filesystem>
#include <system_error>

#include "absl/algorithm/container.h"
#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "base/command_line.h"
#include "core/kernels/blas_kernel.h"

ABSL_FLAG(std::string, workload, "all", "Workloads, separated by commas.");
ABSL_FLAG(int, rounds, 0, "Rounds of each comparison; 0: the program's choice, which it prints.");
ABSL_FLAG(double, seconds_per_round, 0, "Measured time of a contender in a round; 0: likewise.");
ABSL_FLAG(std::string, json, "", "File for all figures.");
ABSL_FLAG(std::string, qkserve, "", "The qkserve program; the one beside this program if empty.");
ABSL_FLAG(std::string, kernel, "auto", "OpenBLAS kernel of the baselines; auto: the CPU's best.");
ABSL_FLAG(std::string, role, "bench", "bench, or a server that the bench runs as its own child.");
ABSL_FLAG(std::string, port_file, "", "With a server's --role: where the port is written.");

namespace qkserve::bench {
namespace {

constexpr int kRoundsMax = 1000;
constexpr double kSecondsPerRoundMax = 60;

absl::StatusOr<std::vector<std::string>> ChosenWorkloads(const Program& program) {
  std::vector<std::string> chosen;
  for (const absl::string_view name :
       absl::StrSplit(absl::GetFlag(FLAGS_workload), ',', absl::SkipEmpty())) {
    if (name == "all") {
      chosen.insert(chosen.end(), program.workloads.begin(), program.workloads.end());
    } else if (absl::c_linear_search(program.workloads, name)) {
      chosen.emplace_back(name);
    } else {
      return absl::InvalidArgumentError(absl::StrCat("--workload: unknown ", name));
    }
  }
  if (chosen.empty()) return absl::InvalidArgumentError("--workload names no workload");
  return chosen;
}

absl::StatusOr<RoundOptions> ChosenRounds(const Program& program) {
  RoundOptions options = program.rounds;
  const int rounds = absl::GetFlag(FLAGS_rounds);
  if (rounds < 0 || rounds > kRoundsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("--rounds must be 0 to ", kRoundsMax, "; was ", rounds));
  }
  if (rounds > 0) options.rounds = rounds;
  const double seconds = absl::GetFlag(FLAGS_seconds_per_round);
  if (!(seconds >= 0 && seconds <= kSecondsPerRoundMax)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--seconds_per_round must be 0 to ", kSecondsPerRoundMax, "; was ", seconds));
  }
  if (seconds > 0) options.turn = absl::Seconds(seconds);
  return options;
}

absl::StatusOr<ProgramPaths> FindPrograms() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return absl::InternalError("cannot find this program: " + error.message());
  ProgramPaths paths = {.bench = self.string(), .qkserve = absl::GetFlag(FLAGS_qkserve)};
  if (paths.qkserve.empty()) paths.qkserve = (self.parent_path() / "qkserve").string();
  if (!std::filesystem::exists(paths.qkserve, error)) {
    return absl::NotFoundError(absl::StrCat("no qkserve at ", paths.qkserve, "; see --qkserve"));
  }
  return paths;
}

struct Plan {
  std::vector<std::string> workloads;
  RoundOptions rounds;
};

absl::StatusOr<Plan> MakePlan(const Program& program,
                              const absl::StatusOr<CommandLine>& command_line) {
  if (!command_line.ok()) return command_line.status();
  if (!command_line->arguments.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("unexpected argument '", command_line->arguments[0], "'"));
  }
  const std::string role = absl::GetFlag(FLAGS_role);
  if (role != "bench" && !absl::c_linear_search(program.roles, role)) {
    return absl::InvalidArgumentError(absl::StrCat("--role: unknown ", role));
  }
  if (role != "bench" && absl::GetFlag(FLAGS_port_file).empty()) {
    return absl::InvalidArgumentError(absl::StrCat("--role=", role, " needs --port_file"));
  }
  const absl::StatusOr<std::vector<std::string>> workloads = ChosenWorkloads(program);
  if (!workloads.ok()) return workloads.status();
  const absl::StatusOr<RoundOptions> rounds = ChosenRounds(program);
  if (!rounds.ok()) return rounds.status();
  return Plan{*workloads, *rounds};
}

absl::Status RunBench(const Program& program, const Plan& plan) {
  const absl::StatusOr<ProgramPaths> paths = FindPrograms();
  if (!paths.ok()) return paths.status();
  absl::StatusOr<std::vector<Contender>> contenders = StartContenders(program.contenders(*paths));
  if (!contenders.ok()) return contenders.status();
  absl::Status status =
      program.compare(plan.workloads, *contenders, plan.rounds, absl::GetFlag(FLAGS_json));
  status.Update(StopContenders(*contenders));
  return status;
}

int Fail(const Program& program, const absl::Status& status, int code) {
  std::fflush(stdout);
  std::fprintf(stderr, "error: %s: %s\n", absl::StatusCodeToString(status.code()).c_str(),
               std::string(status.message()).c_str());
  if (code == 2) std::fprintf(stderr, "See %s --help.\n", program.name.c_str());
  return code;
}

void PrintHelp(const Program& program,
               const std::function<bool(const absl::CommandLineFlag&)>& is_ours) {
  std::printf("Usage: %s [FLAGS]\n\n%s\nWorkloads: %s.\nServers (--role): %s.\n\n%s",
              program.name.c_str(), program.about.c_str(),
              absl::StrJoin(program.workloads, ", ").c_str(),
              absl::StrJoin(program.roles, ", ").c_str(), FlagHelp(is_ours).c_str());
}

}  // namespace

int RunProgram(const Program& program, int argc, char** argv) {
  // As in qkserve: the baselines and the callers get it too.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const auto is_ours = [&](const absl::CommandLineFlag& flag) {
    return FlagIsDefinedIn(flag, "bench/program.cc") ||
           (!program.source.empty() && FlagIsDefinedIn(flag, program.source));
  };
  const absl::StatusOr<CommandLine> command_line =
      ParseCommandLine({argv + 1, static_cast<size_t>(argc - 1)}, is_ours);
  if (command_line.ok() && command_line->help) {
    PrintHelp(program, is_ours);
    return 0;
  }
  const absl::StatusOr<Plan> plan = MakePlan(program, command_line);
  if (!plan.ok()) return Fail(program, plan.status(), 2);
  absl::Status status = EnsureBlasKernel(absl::GetFlag(FLAGS_kernel), argv);
  if (!status.ok()) return Fail(program, status, 1);

  const std::string role = absl::GetFlag(FLAGS_role);
  status = role == "bench" ? RunBench(program, *plan)
                           : program.serve(role, absl::GetFlag(FLAGS_port_file));
  return status.ok() ? 0 : Fail(program, status, 1);
}

}  // namespace qkserve::bench
