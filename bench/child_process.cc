#include "bench/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace qkserve::bench {
namespace {

constexpr absl::Duration kPollInterval = absl::Milliseconds(5);

// A temporary directory. The destructor removes it with its contents.
class ScopedDirectory {
 public:
  ScopedDirectory() {
    std::string path = (std::filesystem::temp_directory_path() / "qkbench.XXXXXX").string();
    if (mkdtemp(path.data()) != nullptr) path_ = path;
  }
  ~ScopedDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  ScopedDirectory(const ScopedDirectory&) = delete;
  ScopedDirectory& operator=(const ScopedDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Runs the command and never returns. Call it after fork. All calls before execv must therefore be
// async-signal-safe.
[[noreturn]] void RunChild(char* const* argv, const char* log_file, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(127);  // the parent died before prctl
  const int log = open(log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log >= 0) {
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
  }
  execv(argv[0], argv);
  _exit(127);
}

// Returns ": " and the last line that a child printed, or "" if it printed nothing. The line should
// say why the child did not start.
std::string LastWords(const std::string& log_file) {
  std::ifstream file(log_file);
  std::string last;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) last = line;
  }
  return last.empty() ? last : ": " + last;
}

// Returns the port, or nullopt if the file does not have a complete line yet.
std::optional<int> ReadPortFile(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  int port = 0;
  if (!std::getline(file, line) || file.eof() || !absl::SimpleAtoi(line, &port)) {
    return std::nullopt;
  }
  return port;
}

// True if the child has ended and was waited for. Then sets `wait_status`.
bool HasEnded(pid_t pid, int& wait_status) {
  pid_t got;
  do {
    got = waitpid(pid, &wait_status, WNOHANG);
  } while (got < 0 && errno == EINTR);
  return got == pid;
}

absl::Status DescribeEnd(const std::string& what, int wait_status) {
  if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) return absl::OkStatus();
  return absl::AbortedError(
      WIFEXITED(wait_status) ? absl::StrCat(what, " ended with code ", WEXITSTATUS(wait_status))
                             : absl::StrCat(what, " was ended by signal ", WTERMSIG(wait_status)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildServer>> ChildServer::Start(std::vector<std::string> command,
                                                                absl::Duration timeout) {
  const ScopedDirectory directory;
  if (directory.path().empty()) {
    return absl::ErrnoToStatus(errno, "cannot make a temporary directory");
  }
  const std::string port_file = directory.path() + "/port";
  const std::string log_file = directory.path() + "/log";
  command.push_back("--port_file=" + port_file);
  std::vector<char*> argv;
  argv.reserve(command.size() + 1);
  for (std::string& argument : command) argv.push_back(argument.data());
  argv.push_back(nullptr);

  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, "cannot fork");
  if (pid == 0) RunChild(argv.data(), log_file.c_str(), parent);

  std::unique_ptr<ChildServer> child(new ChildServer(pid));
  for (const absl::Time deadline = absl::Now() + timeout; absl::Now() < deadline;) {
    if (const std::optional<int> port = ReadPortFile(port_file)) {
      child->address_ = absl::StrCat("127.0.0.1:", *port);
      return child;
    }
    int wait_status = 0;
    if (HasEnded(pid, wait_status)) {
      child->pid_ = 0;
      const absl::Status end = DescribeEnd(command[0], wait_status);
      return absl::AbortedError(
          absl::StrCat(end.ok() ? command[0] + " ended at once" : std::string(end.message()),
                       LastWords(log_file)));
    }
    absl::SleepFor(kPollInterval);
  }
  return absl::DeadlineExceededError(absl::StrCat(
      command[0], " wrote no port within ", absl::FormatDuration(timeout), LastWords(log_file)));
}

double ChildServer::MemoryMb(absl::string_view field) const {
  std::ifstream file(absl::StrCat("/proc/", pid_, "/status"));
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    double kib = 0;
    if (words.size() > 1 && words[0] == field && absl::SimpleAtod(words[1], &kib)) {
      return kib * 1024 / 1e6;
    }
  }
  return 0;
}

void ChildServer::ResetMemoryPeak() const {
  std::ofstream(absl::StrCat("/proc/", pid_, "/clear_refs")) << 5;  // 5 resets VmHWM: see proc(5)
}

ChildServer::~ChildServer() { Stop().IgnoreError(); }

absl::Status ChildServer::Stop(absl::Duration timeout) {
  const pid_t pid = std::exchange(pid_, 0);
  if (pid == 0) return absl::OkStatus();
  int wait_status = 0;
  kill(pid, SIGTERM);
  for (const absl::Time deadline = absl::Now() + timeout; absl::Now() < deadline;) {
    if (HasEnded(pid, wait_status)) return DescribeEnd("a server", wait_status);
    absl::SleepFor(kPollInterval);
  }
  kill(pid, SIGKILL);
  waitpid(pid, &wait_status, 0);
  return DescribeEnd("a server", wait_status);
}

std::vector<std::string> QkserveCommand(const std::string& path) {
  return {path, "--listen_address=127.0.0.1:0", "--http_address="};
}

}  // namespace qkserve::bench
