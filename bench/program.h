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
// kernel, the life of the servers. A program runs itself again, with another --role, as the
// servers that it is compared with.

namespace qkserve::bench {

struct ProgramPaths {
  std::string bench;  // path of this program
  std::string qkserve;
};

// Finds this program, and `qkserve`. "" stands for the one beside this program. NOT_FOUND: there is
// none.
absl::StatusOr<ProgramPaths> FindPrograms(const std::string& qkserve);

struct Program {
  std::string name;
  std::string about;  // one line for --help

  // Adds flags that only this program has.
  std::function<void(Flags&)> add_flags = [](Flags&) {};

  std::vector<std::string> workloads;  // names of the workloads
  std::vector<std::string> roles;      // names of the servers' roles
  RoundOptions rounds;                 // defaults of flags

  std::function<std::vector<ContenderCommand>(const ProgramPaths&)> contenders;

  // Measures the chosen workloads and reports. Unless `json` is "", also writes a report to that
  // file.
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

// Runs the program for main. Returns the exit code: 0, it ran; 1, something failed; 2, wrong usage.
int RunProgram(const Program& program, int argc, char** argv);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_PROGRAM_H_
