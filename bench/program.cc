#include "bench/program.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <system_error>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "base/status_macros.h"
#include "core/kernels/blas_kernel.h"

namespace qkserve::bench {
namespace {

constexpr int kRoundsMax = 1000;
constexpr double kSecondsPerRoundMax = 60;
constexpr char kBenchRole[] = "bench";

// The flags that all programs of this kind have.
struct ProgramOptions {
  std::string workload = "all";
  int rounds = 0;
  double seconds_per_round = 0;
  std::string json;
  std::string qkserve;
  std::string kernel = "auto";
  std::string role = kBenchRole;
  std::string port_file;
};

void AddFlags(ProgramOptions& options, Flags& flags) {
  flags.Add("workload", &options.workload, "Workloads, separated by commas");
  flags.Add("rounds", &options.rounds,
            "Rounds of each comparison; 0: the program's choice, which it prints");
  flags.Add("seconds_per_round", &options.seconds_per_round,
            "Measured time of a contender in a round; 0: the program's choice, which it prints");
  flags.Add("json", &options.json, "File for all figures");
  flags.Add("qkserve", &options.qkserve,
            "The qkserve program; the one beside this program if empty");
  flags.Add("kernel", &options.kernel, "OpenBLAS kernel of the baselines; auto: the CPU's best");
  flags.Add("role", &options.role, "bench, or a server that the bench runs as its own child");
  flags.Add("port_file", &options.port_file, "With a server's --role: where the port is written");
}

// Returns the names of the workloads that `workload` chooses, or nothing if a name is unknown.
std::vector<std::string> ChosenWorkloads(const Program& program, absl::string_view workload) {
  std::vector<std::string> chosen;
  for (const absl::string_view name : absl::StrSplit(workload, ',', absl::SkipEmpty())) {
    if (name == "all") {
      chosen.insert(chosen.end(), program.workloads.begin(), program.workloads.end());
    } else if (absl::c_linear_search(program.workloads, name)) {
      chosen.emplace_back(name);
    } else {
      return {};
    }
  }
  return chosen;
}

absl::Status Validate(const Program& program, const ProgramOptions& options) {
  const auto invalid = [](const auto&... message) {
    return absl::InvalidArgumentError(absl::StrCat(message...));
  };
  const std::string& role = options.role;
  if (role != kBenchRole && !absl::c_linear_search(program.roles, role)) {
    return invalid("--role: unknown ", role);
  }
  if (role != kBenchRole && options.port_file.empty()) {
    return invalid("--role=", role, " needs --port_file");
  }
  if (ChosenWorkloads(program, options.workload).empty()) {
    return invalid("--workload: got '", options.workload, "', expected names of ",
                   absl::StrJoin(program.workloads, ", "));
  }
  if (options.rounds < 0 || options.rounds > kRoundsMax) {
    return invalid("--rounds must be 0 to ", kRoundsMax, "; was ", options.rounds);
  }
  if (!(options.seconds_per_round >= 0 && options.seconds_per_round <= kSecondsPerRoundMax)) {
    return invalid("--seconds_per_round must be 0 to ", kSecondsPerRoundMax, "; was ",
                   options.seconds_per_round);
  }
  return absl::OkStatus();
}

absl::Status RunBench(const Program& program, const ProgramOptions& options) {
  ASSIGN_OR_RETURN(const ProgramPaths paths, FindPrograms(options.qkserve));
  ASSIGN_OR_RETURN(std::vector<Contender> contenders, StartContenders(program.contenders(paths)));
  RoundOptions rounds = program.rounds;
  if (options.rounds > 0) rounds.rounds = options.rounds;
  if (options.seconds_per_round > 0) rounds.turn = absl::Seconds(options.seconds_per_round);
  absl::Status status =
      program.compare(ChosenWorkloads(program, options.workload), contenders, rounds, options.json);
  status.Update(StopContenders(contenders));
  return status;
}

}  // namespace

absl::StatusOr<ProgramPaths> FindPrograms(const std::string& qkserve) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return absl::InternalError("cannot find this program: " + error.message());
  ProgramPaths paths = {.bench = self.string(), .qkserve = qkserve};
  if (paths.qkserve.empty()) paths.qkserve = (self.parent_path() / "qkserve").string();
  if (!std::filesystem::exists(paths.qkserve, error)) {
    return absl::NotFoundError(absl::StrCat("no qkserve at ", paths.qkserve, "; see --qkserve"));
  }
  return paths;
}

void OrDie(const absl::Status& status) {
  if (status.ok()) return;
  absl::FPrintF(stderr, "error: %s\n", status.ToString());
  std::exit(1);
}

int RunProgram(const Program& program, int argc, char** argv) {
  // The baselines and the callers get the same setting as qkserve.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  ProgramOptions options;
  Flags flags(absl::StrFormat("Usage: %s [FLAGS]\n\n%s\nWorkloads:\n  %s\nServers (--role): %s.\n",
                              program.name, program.about, absl::StrJoin(program.workloads, ", "),
                              absl::StrJoin(program.roles, ", ")));
  AddFlags(options, flags);
  program.add_flags(flags);
  const std::optional<int> exit_code =
      flags.ParseMain(argc, argv, [&] { return Validate(program, options); });
  if (exit_code.has_value()) return *exit_code;
  absl::Status status = SelectKernelsOrReexec(options.kernel, argv);
  if (status.ok()) {
    status = options.role == kBenchRole ? RunBench(program, options)
                                        : program.serve(options.role, options.port_file);
  }
  if (status.ok()) return 0;
  std::fflush(stdout);
  absl::FPrintF(stderr, "error: %s: %s\n", absl::StatusCodeToString(status.code()),
                status.message());
  return 1;
}

}  // namespace qkserve::bench
