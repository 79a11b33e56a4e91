#include "bench/program.h"

#include <cstdio>
#include <filesystem>
#include <optional>
#include <system_error>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
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

  void AddFlags(Flags& flags);
  absl::Status Validate(const Program& program) const;

  // The workloads by name; empty where `workload` has an unknown name.
  std::vector<std::string> ChosenWorkloads(const Program& program) const;
  RoundOptions ChosenRounds(const Program& program) const;
};

void ProgramOptions::AddFlags(Flags& flags) {
  flags.Add("workload", &workload, "Workloads, separated by commas");
  flags.Add("rounds", &rounds,
            "Rounds of each comparison; 0: the program's choice, which it prints");
  flags.Add("seconds_per_round", &seconds_per_round,
            "Measured time of a contender in a round; 0: the program's choice, which it prints");
  flags.Add("json", &json, "File for all figures");
  flags.Add("qkserve", &qkserve, "The qkserve program; the one beside this program if empty");
  flags.Add("kernel", &kernel, "OpenBLAS kernel of the baselines; auto: the CPU's best");
  flags.Add("role", &role, "bench, or a server that the bench runs as its own child");
  flags.Add("port_file", &port_file, "With a server's --role: where the port is written");
}

std::vector<std::string> ProgramOptions::ChosenWorkloads(const Program& program) const {
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

RoundOptions ProgramOptions::ChosenRounds(const Program& program) const {
  RoundOptions options = program.rounds;
  if (rounds > 0) options.rounds = rounds;
  if (seconds_per_round > 0) options.turn = absl::Seconds(seconds_per_round);
  return options;
}

absl::Status ProgramOptions::Validate(const Program& program) const {
  if (role != kBenchRole && !absl::c_linear_search(program.roles, role)) {
    return absl::InvalidArgumentError(absl::StrCat("--role: unknown ", role));
  }
  if (role != kBenchRole && port_file.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("--role=", role, " needs --port_file"));
  }
  if (ChosenWorkloads(program).empty()) {
    return absl::InvalidArgumentError(absl::StrCat("--workload: got '", workload,
                                                   "', expected names of ",
                                                   absl::StrJoin(program.workloads, ", ")));
  }
  if (rounds < 0 || rounds > kRoundsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("--rounds must be 0 to ", kRoundsMax, "; was ", rounds));
  }
  if (!(seconds_per_round >= 0 && seconds_per_round <= kSecondsPerRoundMax)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--seconds_per_round must be 0 to ", kSecondsPerRoundMax, "; was ", seconds_per_round));
  }
  return absl::OkStatus();
}

absl::Status RunBench(const Program& program, const ProgramOptions& options) {
  const absl::StatusOr<ProgramPaths> paths = FindPrograms(options.qkserve);
  if (!paths.ok()) return paths.status();
  absl::StatusOr<std::vector<Contender>> contenders = StartContenders(program.contenders(*paths));
  if (!contenders.ok()) return contenders.status();
  absl::Status status = program.compare(options.ChosenWorkloads(program), *contenders,
                                        options.ChosenRounds(program), options.json);
  status.Update(StopContenders(*contenders));
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

int RunProgram(const Program& program, int argc, char** argv) {
  // As in qkserve: the baselines and the callers get it too.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  ProgramOptions options;
  Flags flags(absl::StrFormat("Usage: %s [FLAGS]\n\n%s\nWorkloads: %s.\nServers (--role): %s.\n",
                              program.name, program.about, absl::StrJoin(program.workloads, ", "),
                              absl::StrJoin(program.roles, ", ")));
  options.AddFlags(flags);
  program.add_flags(flags);
  const std::optional<int> exit_code =
      flags.ParseMain(argc, argv, [&] { return options.Validate(program); });
  if (exit_code.has_value()) return *exit_code;
  absl::Status status = EnsureBlasKernel(options.kernel, argv);
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
