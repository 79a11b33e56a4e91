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

// Helpers for tests that run the programs as a user of a shell does.

namespace qkserve {

// The time limit for a step that depends on other processes. It allows for a loaded machine.
inline constexpr absl::Duration kPatience = absl::Seconds(60);

// Asks every few milliseconds until the answer is yes or kPatience is over.
bool Eventually(const std::function<bool()>& condition);

// Returns the bytes of a file, or "" if the file cannot be read.
std::string ReadFile(const std::filesystem::path& path);

// Returns the strings as execve takes them, with a null pointer at the end. Valid as long as
// `strings`.
std::vector<char*> Pointers(std::vector<std::string>& strings);

// A process whose output goes to files. If it still runs at the end of the test, it is killed.
//
// Thread-compatible.
class Process {
 public:
  // command[0] is a path. Each NAME=VALUE in `environment` replaces the test's variable NAME or is
  // added. If the command cannot be run, the test fails and the process has ended.
  Process(std::vector<std::string> command, const std::string& out_path,
          const std::string& err_path, std::vector<std::string> environment = {});
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  pid_t pid() const { return pid_; }

  // Sends a signal. Does nothing once the process is known to have ended, because another process
  // may then have its id.
  void Signal(int signal) const;

  // Waits for the end. Returns the exit code, or minus the signal that ended the process. Kills it
  // after kPatience.
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

// Runs the command until it ends. The output is also in the files `out` and `err` of `directory`.
// `environment` has the same meaning as in Process.
Outcome RunCommand(std::vector<std::string> command, const TemporaryDirectory& directory,
                   std::vector<std::string> environment = {});

// Binds a socket to a free port of 127.0.0.1. Returns "127.0.0.1:PORT".
std::string BindToLoopback(int socket);

// A port of this host on which nobody listens while the object lives.
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
