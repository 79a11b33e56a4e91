#ifndef QKSERVE_TESTS_SUPPORT_PROCESS_H_
#define QKSERVE_TESTS_SUPPORT_PROCESS_H_

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tests/support/temporary_directory.h"

// Helpers for tests that run the programs themselves, as a user of a shell does.

namespace qkserve {

// The time that a step which depends on other processes may take on a loaded machine.
inline constexpr absl::Duration kPatience = absl::Seconds(60);

// Asks every few milliseconds until the answer is yes, or patience ends.
bool Eventually(const std::function<bool()>& condition);

// The bytes of a file; none if it cannot be read.
std::string ReadFile(const std::filesystem::path& path);

// The strings as execve takes them: with a null pointer at the end, valid as long as `strings` is.
std::vector<char*> Pointers(std::vector<std::string>& strings);

// A process whose output goes to files. Killed, if it still runs, at the end of the test.
//
// Thread-compatible.
class Process {
 public:
  // command[0] is a path. `environment` holds NAME=VALUE, beside the test's own variables or in
  // place of them. Where the command cannot be run, the test fails and the process has ended.
  Process(std::vector<std::string> command, const std::string& out_path,
          const std::string& err_path, std::vector<std::string> environment = {});
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  pid_t pid() const { return pid_; }

  // Sends a signal. Does nothing once the process is known to have ended: its id may be another
  // process's by then.
  void Signal(int signal) const;

  // The exit code, or minus the signal that ended it. It is killed when patience ends.
  int Wait();

  bool Ended();

 private:
  void Reap(int options);

  pid_t pid_ = -1;
  std::optional<int> exit_code_;
};

struct Outcome {
  int exit_code = 0;
  std::string out;
  std::string err;
};

// Runs the command to its end. What it prints is also in the files `out` and `err` of `directory`.
// `environment` is as in Process.
Outcome RunCommand(std::vector<std::string> command, const TemporaryDirectory& directory,
                   std::vector<std::string> environment = {});

// Binds a socket to a free port of 127.0.0.1. Returns "127.0.0.1:PORT".
std::string BindToLoopback(int socket);

// A port of this host on which nobody listens, for as long as the object lives.
class ClosedPort {
 public:
  ClosedPort();
  ClosedPort(const ClosedPort&) = delete;
  ClosedPort& operator=(const ClosedPort&) = delete;
  ~ClosedPort();

  // "127.0.0.1:PORT".
  const std::string& address() const { return address_; }

 private:
  const int socket_;
  const std::string address_;
};

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_PROCESS_H_
