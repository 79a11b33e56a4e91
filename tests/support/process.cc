#include "tests/support/process.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

// A shell ends with this code if it cannot run a command.
constexpr int kExitUnknown = 127;

// Returns the variables of this process. Each of `changes` replaces the variable of its name or is
// added.
std::vector<std::string> WithEnvironment(std::vector<std::string> changes) {
  const size_t count = changes.size();
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const absl::string_view text = *variable;
    const absl::string_view name_and_equals = text.substr(0, text.find('=') + 1);
    bool is_changed = false;
    for (size_t i = 0; i < count; ++i) {
      is_changed = is_changed || absl::StartsWith(changes[i], name_and_equals);
    }
    if (!is_changed) changes.emplace_back(text);
  }
  return changes;
}

}  // namespace

bool Eventually(const std::function<bool()>& condition) {
  const absl::Time end = absl::Now() + kPatience;
  while (!condition()) {
    if (absl::Now() > end) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

Process::Process(std::vector<std::string> command, const std::string& out_path,
                 const std::string& err_path, std::vector<std::string> environment) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out_path.c_str(), kFlags, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err_path.c_str(), kFlags, 0600);
  const std::vector<char*> argv = Pointers(command);
  std::vector<std::string> variables = WithEnvironment(std::move(environment));
  const std::vector<char*> envp = Pointers(variables);
  const int error = posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    ADD_FAILURE() << command[0] << ": " << std::strerror(error);
    exit_code_ = kExitUnknown;
  }
}

Process::~Process() {
  if (Ended()) return;
  Signal(SIGKILL);
  Reap(0);
}

void Process::Signal(int signal) const {
  if (!exit_code_.has_value()) kill(pid_, signal);
}

int Process::Wait() {
  if (!Eventually([this] { return Ended(); })) {
    Signal(SIGKILL);
    Reap(0);
  }
  return *exit_code_;
}

bool Process::Ended() {
  if (!exit_code_.has_value()) Reap(WNOHANG);
  return exit_code_.has_value();
}

void Process::Reap(int options) {
  int status = 0;
  pid_t ended = -1;
  do {
    ended = waitpid(pid_, &status, options);
  } while (ended < 0 && errno == EINTR);
  if (ended == 0) return;
  if (ended < 0) {
    ADD_FAILURE() << "waitpid: " << std::strerror(errno);
    exit_code_ = kExitUnknown;
    return;
  }
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

Outcome RunCommand(std::vector<std::string> command, const TemporaryDirectory& directory,
                   std::vector<std::string> environment) {
  const std::string out_path = directory.Path("out");
  const std::string err_path = directory.Path("err");
  Process process(std::move(command), out_path, err_path, std::move(environment));
  const int exit_code = process.Wait();
  return {exit_code, ReadFile(out_path), ReadFile(err_path)};
}

std::string BindToLoopback(int socket) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(bind(socket, generic, size), 0);
  EXPECT_EQ(getsockname(socket, generic, &size), 0);
  return absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
}

ClosedPort::ClosedPort()
    : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), address_(BindToLoopback(socket_)) {}

ClosedPort::~ClosedPort() { close(socket_); }

}  // namespace qkserve
