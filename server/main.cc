// qkserve: the server. Flags are read here and nowhere else.

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <system_error>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/attention/kernel.h"
#include "core/command_line.h"
#include "core/version.h"
#include "server/health_check.h"
#include "server/options.h"
#include "server/server.h"

ABSL_FLAG(std::string, listen_address, qkserve::ServerOptions().listen_address,
          "HOST:PORT or unix:PATH to serve gRPC on; port 0 takes a free one");
ABSL_FLAG(std::string, port_file, "",
          "write the port that was taken to this file, once the server listens");
ABSL_FLAG(int64_t, workers, qkserve::ServerOptions().workers,
          "threads that compute; 0: the CPUs this process may use (affinity, cgroup quota)");
ABSL_FLAG(std::string, kernel, "auto",
          "OpenBLAS kernel, for example SkylakeX, Haswell; auto: the best for this CPU");
ABSL_FLAG(int64_t, message_bytes_max, qkserve::ServerOptions().message_bytes_max,
          "largest message in bytes, each way");
ABSL_FLAG(int64_t, in_flight_bytes_max, qkserve::ServerOptions().in_flight_bytes_max,
          "bytes of requests and results over all requests in flight");
ABSL_FLAG(int64_t, queue_requests_max, qkserve::ServerOptions().queue_requests_max,
          "requests that may wait for a worker");
ABSL_FLAG(absl::Duration, queue_time_max, qkserve::ServerOptions().queue_time_max,
          "predicted time to serve what may wait for a worker");
ABSL_FLAG(absl::Duration, drain_grace, qkserve::ServerOptions().drain_grace,
          "after SIGTERM, how long new calls are told UNAVAILABLE before connections close");
ABSL_FLAG(absl::Duration, drain_timeout, qkserve::ServerOptions().drain_timeout,
          "after drain_grace, how long requests in flight may take to finish");
ABSL_FLAG(std::string, check, "",
          "ask the server at this address for its health, exit 0 if it serves, else 1");
ABSL_FLAG(bool, version, false, "print the version");

namespace qkserve {
namespace {

constexpr int kExitError = 1;
constexpr int kExitUsage = 2;

bool IsOurFlag(const absl::CommandLineFlag& flag) {
  return FlagIsDefinedIn(flag, "server/main.cc");
}

int Fail(const absl::Status& status, int exit_code = kExitError) {
  std::cerr << "error: " << absl::StatusCodeToString(status.code()) << ": " << status.message()
            << std::endl;
  return exit_code;
}

ServerOptions OptionsFromFlags() {
  ServerOptions options;
  options.listen_address = absl::GetFlag(FLAGS_listen_address);
  options.workers = absl::GetFlag(FLAGS_workers);
  options.message_bytes_max = absl::GetFlag(FLAGS_message_bytes_max);
  options.in_flight_bytes_max = absl::GetFlag(FLAGS_in_flight_bytes_max);
  options.queue_requests_max = absl::GetFlag(FLAGS_queue_requests_max);
  options.queue_time_max = absl::GetFlag(FLAGS_queue_time_max);
  options.drain_grace = absl::GetFlag(FLAGS_drain_grace);
  options.drain_timeout = absl::GetFlag(FLAGS_drain_timeout);
  return options;
}

// Whoever polls for the file must never read half of it.
absl::Status WritePortFile(const std::string& path, int port) {
  const std::string aside = absl::StrCat(path, ".tmp");
  std::ofstream file(aside);
  file << port << std::endl;
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(aside, path, error);
  if (!file || error) {
    return absl::FailedPreconditionError(absl::StrCat("port_file: cannot write ", path));
  }
  return absl::OkStatus();
}

int Serve() {
  // Blocked in every thread from here on, so that sigwait gets them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(OptionsFromFlags());
  if (!server.ok()) {
    return Fail(server.status(),
                absl::IsInvalidArgument(server.status()) ? kExitUsage : kExitError);
  }
  std::cerr << "qkserve " << kVersion << ": " << (*server)->description() << std::endl;
  const std::string port_file = absl::GetFlag(FLAGS_port_file);
  if (!port_file.empty()) {
    const absl::Status status = WritePortFile(port_file, (*server)->port());
    if (!status.ok()) return Fail(status);
  }
  std::cout << "listening on " << (*server)->address() << std::endl;

  int signal = 0;
  sigwait(&signals, &signal);
  std::cerr << "signal " << signal << ": draining" << std::endl;
  // A second signal ends the process at once.
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  (*server)->Drain();
  std::cerr << "drained" << std::endl;
  return 0;
}

int Main(int argc, char** argv) {
  const absl::StatusOr<CommandLine> command_line =
      ParseCommandLine(absl::MakeConstSpan(argv + 1, static_cast<size_t>(argc - 1)), IsOurFlag);
  if (command_line.ok() && command_line->help) {
    std::cout << "qkserve: dot-product attention scores as a network service\n"
                 "usage: qkserve [--flag=value ...]\n\nEvery flag may be left out:\n"
              << FlagHelp(IsOurFlag);
    return 0;
  }
  absl::Status status = command_line.status();
  if (status.ok() && !command_line->arguments.empty()) {
    status = absl::InvalidArgumentError(
        absl::StrCat("unexpected argument ", command_line->arguments.front()));
  }
  if (!status.ok()) {
    Fail(status);
    std::cerr << "try: qkserve --help" << std::endl;
    return kExitUsage;
  }
  if (absl::GetFlag(FLAGS_version)) {
    std::cout << "qkserve " << kVersion << std::endl;
    return 0;
  }
  const std::string check = absl::GetFlag(FLAGS_check);
  if (!check.empty()) {
    constexpr absl::Duration kCheckTimeout = absl::Seconds(5);
    status = CheckHealth(check, kCheckTimeout);
    if (!status.ok()) return Fail(status);
    std::cout << check << " is serving" << std::endl;
    return 0;
  }
  status = EnsureBlasKernel(absl::GetFlag(FLAGS_kernel), argv);
  if (!status.ok()) {
    return Fail(status, absl::IsInvalidArgument(status) ? kExitUsage : kExitError);
  }
  return Serve();
}

}  // namespace
}  // namespace qkserve

int main(int argc, char** argv) { return qkserve::Main(argc, argv); }
