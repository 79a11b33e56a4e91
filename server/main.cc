// qkserve: the server. Flags are read here and nowhere else.

#include <malloc.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/command_line.h"
#include "base/host.h"
#include "base/standard_streams.h"
#include "base/thread_limit.h"
#include "core/kernels/blas_kernel.h"
#include "core/kernels/tile_scratch.h"
#include "grpcpp/version_info.h"
#include "qkserve/version.h"
#include "server/lifecycle/address.h"
#include "server/lifecycle/health_check.h"
#include "server/lifecycle/stop_signals.h"
#include "server/observe/log_format.h"
#include "server/observe/log_writer.h"
#include "server/observe/process_log.h"
#include "server/options.h"
#include "server/server.h"

#if GRPC_CPP_VERSION_MAJOR == 1 && GRPC_CPP_VERSION_MINOR < 65
#include "grpc/support/log.h"
#define QKSERVE_CATCHES_GRPC_LOG
#endif

ABSL_FLAG(std::string, listen_address, qkserve::ServerOptions().listen_address,
          "HOST:PORT or unix:PATH to serve gRPC on; port 0 takes a free one");
ABSL_FLAG(std::string, port_file, "",
          "write the port that was taken to this file, once the server listens");
ABSL_FLAG(std::string, http_address, qkserve::kHttpAddressDefault,
          "HOST:PORT for /metrics, /healthz, /readyz and a page at /; port 0 takes a free one, "
          "empty: no HTTP");
ABSL_FLAG(std::string, http_port_file, "",
          "write the HTTP port that was taken to this file, before key sets are loaded");
ABSL_FLAG(int64_t, workers, qkserve::ServerOptions().workers,
          "threads that compute; 0: the CPUs this process may use (affinity, cgroup quota)");
ABSL_FLAG(std::string, kernel, "auto",
          "OpenBLAS kernel, for example SkylakeX, Haswell; auto: the best for this CPU");
ABSL_FLAG(int64_t, message_bytes_max, qkserve::ServerOptions().message_bytes_max,
          "largest message in bytes, each way");
ABSL_FLAG(int64_t, in_flight_bytes_max, qkserve::ServerOptions().in_flight_bytes_max,
          "bytes of requests and results over all requests in flight");
ABSL_FLAG(std::string, key_set_dir, "",
          "directory that key sets are kept in; empty: they end with the server");
ABSL_FLAG(bool, key_set_dir_read_only, false,
          "serve what another server writes to key_set_dir, and follow its changes");
ABSL_FLAG(int64_t, key_set_memory, qkserve::ServerOptions().key_set_memory,
          "bytes of key sets in memory; 0: half of the memory this process may use");
ABSL_FLAG(absl::Duration, upload_idle_timeout, qkserve::ServerOptions().upload_idle_timeout,
          "an upload of a key set that completes no message for so long ends");
ABSL_FLAG(absl::Duration, connection_age, qkserve::ServerOptions().connection_age,
          "close connections at this age or up to 22 % later, after their calls, so that clients "
          "look names up again; 0: never");
ABSL_FLAG(absl::Duration, keepalive_interval_min, qkserve::ServerOptions().keepalive_interval_min,
          "cut clients off that send keepalive pings faster; 0: none");
ABSL_FLAG(int64_t, queue_requests_max, qkserve::ServerOptions().queue_requests_max,
          "requests that may wait for a worker");
ABSL_FLAG(absl::Duration, queue_time_max, qkserve::ServerOptions().queue_time_max,
          "predicted time to serve what may wait for a worker");
ABSL_FLAG(absl::Duration, drain_grace, qkserve::ServerOptions().drain_grace,
          "after SIGTERM, how long new calls are told UNAVAILABLE before connections close");
ABSL_FLAG(absl::Duration, drain_timeout, qkserve::ServerOptions().drain_timeout,
          "after drain_grace, how long requests in flight may take to finish");
ABSL_FLAG(qkserve::LogFormat, log_format, qkserve::LogFormat::kText,
          "lines of the log, on standard error: text, or json (one object a line)");
ABSL_FLAG(absl::Duration, slow_request_threshold, qkserve::ServerOptions().slow_request_threshold,
          "log requests that take so long; 0: none");
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
  WriteToLog(absl::StrCat("error: ", absl::StatusCodeToString(status.code()), ": ",
                          status.message(), "\n"));
  return exit_code;
}

void Log(const LogEvent& event) {
  WriteToLog(
      absl::StrCat(FormatLogLine(absl::GetFlag(FLAGS_log_format), absl::Now(), event), "\n"));
}

// In JSON the last line is an event as well, so that a machine can read it.
int FailServing(const absl::Status& status) {
  const int exit_code = absl::IsInvalidArgument(status) ? kExitUsage : kExitError;
  if (absl::GetFlag(FLAGS_log_format) == LogFormat::kText) return Fail(status, exit_code);
  Log({LogLevel::kError,
       std::string(status.message()),
       {{"code", absl::StatusCodeToString(status.code())}}});
  return exit_code;
}

#ifdef QKSERVE_CATCHES_GRPC_LOG
// gRPC's own lines look like the others. (Newer versions log with Abseil.)
void LogForGrpc(gpr_log_func_args* args) {
  const LogLevel level =
      args->severity == GPR_LOG_SEVERITY_ERROR ? LogLevel::kError : LogLevel::kInfo;
  Log({level, args->message, {{"source", absl::StrCat("grpc ", args->file, ":", args->line)}}});
  // gRPC aborts the process after such a line.
  if (absl::StartsWith(args->message, "assertion failed")) FlushLog();
}

void CatchGrpcLog() { gpr_set_log_function(LogForGrpc); }
#else
void CatchGrpcLog() {}
#endif

ServerOptions OptionsFromFlags() {
  ServerOptions options;
  options.listen_address = absl::GetFlag(FLAGS_listen_address);
  options.http_address = absl::GetFlag(FLAGS_http_address);
  options.workers = absl::GetFlag(FLAGS_workers);
  options.message_bytes_max = absl::GetFlag(FLAGS_message_bytes_max);
  options.in_flight_bytes_max = absl::GetFlag(FLAGS_in_flight_bytes_max);
  options.key_set_dir = absl::GetFlag(FLAGS_key_set_dir);
  options.key_set_dir_read_only = absl::GetFlag(FLAGS_key_set_dir_read_only);
  options.key_set_memory = absl::GetFlag(FLAGS_key_set_memory);
  options.upload_idle_timeout = absl::GetFlag(FLAGS_upload_idle_timeout);
  options.connection_age = absl::GetFlag(FLAGS_connection_age);
  options.keepalive_interval_min = absl::GetFlag(FLAGS_keepalive_interval_min);
  options.queue_requests_max = absl::GetFlag(FLAGS_queue_requests_max);
  options.queue_time_max = absl::GetFlag(FLAGS_queue_time_max);
  options.drain_grace = absl::GetFlag(FLAGS_drain_grace);
  options.drain_timeout = absl::GetFlag(FLAGS_drain_timeout);
  options.slow_request_threshold = absl::GetFlag(FLAGS_slow_request_threshold);
  options.log = Log;
  options.log_lines_dropped = LogLinesDropped;
  return options;
}

// Whoever polls for the file must never read half of it.
absl::Status WritePortFile(const char* flag, const std::string& path, int port) {
  if (path.empty()) return absl::OkStatus();
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored) && !std::filesystem::is_regular_file(path, ignored)) {
    return absl::FailedPreconditionError(
        absl::StrCat(flag, ": ", path, " is there and is no regular file"));
  }
  const std::string aside = absl::StrCat(path, ".tmp.", getpid());
  errno = 0;
  std::ofstream file(aside);
  file << port << std::endl;
  file.close();
  std::error_code error(errno, std::generic_category());
  if (file) std::filesystem::rename(aside, path, error);
  if (!file || error.value() != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(flag, ": cannot write ", path, ": ", error.message()));
  }
  return absl::OkStatus();
}

// Meanwhile gives memory back that requests have left with the allocator, when there are none.
int AwaitStopSignal(int pipe, Server& server) {
  constexpr int kTrimEveryMs = 2000;
  bool trimmed = true;
  pollfd readable = {.fd = pipe, .events = POLLIN, .revents = 0};
  while (poll(&readable, 1, kTrimEveryMs) <= 0) {
    if (!server.IsIdle()) {
      trimmed = false;
    } else if (!trimmed) {
      FreeKeptScratch();
      malloc_trim(0);
      trimmed = true;
    }
  }
  char signal = 0;
  static_cast<void>(!read(pipe, &signal, 1));
  return signal;
}

// Each connection is a file. Where there are no more, gRPC stops accepting for good.
void AllowManyConnections() {
  rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

// Waits for nobody: standard output may be a pipe that is full.
void PrintAddress(const std::string& address) {
  const std::string line = absl::StrCat("listening on ", address, "\n");
  try {
    std::thread([line] { WriteWithin(STDOUT_FILENO, line, absl::InfiniteDuration()); }).detach();
  } catch (const std::system_error&) {
    WriteWithin(STDOUT_FILENO, line, absl::ZeroDuration());
  }
}

int Serve() {
  // Each of the allocator's arenas keeps free memory of its own; by default there are 8 for each
  // CPU. With one for two CPUs the process needs a tenth less memory than with one each, and
  // throughput is the same.
  mallopt(M_ARENA_MAX, std::max(1, static_cast<int>(UsableCpus() / 2)));
  StartLogWriter(absl::GetFlag(FLAGS_log_format));
  AllowManyConnections();
  const int stop = CatchStopSignals();
  if (stop < 0) return FailServing(absl::InternalError("cannot make a pipe"));

  CatchGrpcLog();
  ServerOptions options = OptionsFromFlags();
  options.on_http_listening = [](int port) {
    return WritePortFile("http_port_file", absl::GetFlag(FLAGS_http_port_file), port);
  };
  options.is_stopping = [stop] { return IsStopping(stop); };
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options);
  if (absl::IsCancelled(server.status())) {
    // Nobody was promised anything yet.
    Log({LogLevel::kInfo, "a signal ended the start"});
    return 0;
  }
  if (!server.ok()) return FailServing(server.status());
  Log({LogLevel::kInfo, absl::StrCat("qkserve ", kVersion, ": ", (*server)->description())});
  const absl::Status written =
      WritePortFile("port_file", absl::GetFlag(FLAGS_port_file), (*server)->port());
  if (!written.ok()) return FailServing(written);
  Log({LogLevel::kInfo, "listening", {{"address", (*server)->address()}}});
  PrintAddress((*server)->address());

  const int signal = AwaitStopSignal(stop, **server);
  Log({LogLevel::kInfo, absl::StrCat("signal ", signal, ": draining")});
  const absl::Status drained = (*server)->Drain();
  if (!drained.ok()) return FailServing(drained);
  Log({LogLevel::kInfo, "drained"});
  return 0;
}

int Check(const std::string& address) {
  if (!absl::StartsWith(address, "unix:")) {
    const absl::Status status = ParseHostPort("check", address, "unix:PATH").status();
    if (!status.ok()) return Fail(status, kExitUsage);
  }
  constexpr absl::Duration kCheckTimeout = absl::Seconds(5);
  absl::Status status = CheckThreads(GrpcThreads());
  if (status.ok()) status = CheckHealth(address, kCheckTimeout);
  if (!status.ok()) return Fail(status);
  std::cout << address << " is serving" << std::endl;
  return 0;
}

int Main(int argc, char** argv) {
  // No HTTP; key sets in memory. An empty --check is refused as no address.
  constexpr absl::string_view kMayBeEmpty[] = {"http_address", "key_set_dir", "check"};
  const absl::StatusOr<CommandLine> command_line = ParseCommandLine(
      absl::MakeConstSpan(argv + 1, static_cast<size_t>(argc - 1)), IsOurFlag, kMayBeEmpty);
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
    WriteToLog("try: qkserve --help\n");
    return kExitUsage;
  }
  if (absl::GetFlag(FLAGS_version)) {
    std::cout << "qkserve " << kVersion << std::endl;
    return 0;
  }
  // Also where its value is empty: who wants a check must not get a server.
  if (command_line->Has("check")) return Check(absl::GetFlag(FLAGS_check));
  // gRPC's mutexes are Abseil's, which in Debian's build record every pair that is held together:
  // some microseconds a request.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  status = EnsureBlasKernel(absl::GetFlag(FLAGS_kernel), argv, Log);
  if (!status.ok()) return FailServing(status);
  return Serve();
}

}  // namespace
}  // namespace qkserve

int main(int argc, char** argv) {
  qkserve::OpenClosedStandardStreams(qkserve::ClosedOutput::kDiscard);
  qkserve::IgnoreWriteSignals();
  const int exit_code = qkserve::Main(argc, argv);
  qkserve::FlushLog();
  return exit_code;
}
