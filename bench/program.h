#ifndef QKSERVE_BENCH_PROGRAM_H_
#define QKSERVE_BENCH_PROGRAM_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/flags.h"
#include "bench/contender.h"
#include "bench/measurement.h"

// Common parts of the programs here that start servers and compare them: flags, the choice of the
// kernel, starting and stopping the servers. A program starts its baselines by running itself with
// another --role.

namespace qkserve::bench {

struct ProgramPaths {
  std::string bench;  // path of this program
  std::string qkserve;
};

// Finds this program and the program `qkserve`. "" stands for the qkserve beside this program.
// NOT_FOUND: there is no qkserve.
absl::StatusOr<ProgramPaths> FindPrograms(const std::string& qkserve);

struct Program {
  std::string name;
  std::string about;  // one line for --help

  // Adds flags that only this program has.
  std::function<void(Flags&)> add_flags = [](Flags&) {};

  std::vector<std::string> workloads;  // names of the workloads
  std::vector<std::string> roles;      // names of the servers' roles
  RoundOptions rounds;                 // defaults for the flags

  std::function<std::vector<ContenderCommand>(const ProgramPaths&)> contenders;

  // Measures the chosen workloads and prints a report. Writes a report to the file `json` unless
  // `json` is "".
  std::function<absl::Status(const std::vector<std::string>& workloads,
                             const std::vector<Contender>&, const RoundOptions&,
                             const std::string& json)>
      compare;

  // Runs the server of `role` until SIGTERM.
  std::function<absl::Status(const std::string& role, const std::string& port_file)> serve;
};

// Ends the process with code 1 and prints why, unless the status is OK.
void OrDie(const absl::Status& status);
template <typename T>
T OrDie(absl::StatusOr<T> value) {
  OrDie(value.status());
  return *std::move(value);
}

// Runs the program for main. Returns the exit code: 0 for success, 1 for a failure, 2 for wrong
// usage.
int RunProgram(const Program& program, int argc, char** argv);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_PROGRAM_H_
