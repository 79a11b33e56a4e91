// qkserve: the server. Flags are read here and nowhere else.

#include <malloc.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <system_error>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/flags.h"
#include "base/host.h"
#include "base/standard_streams.h"
#include "base/thread_limit.h"
#include "base/whole_file.h"
#include "core/kernels/blas_kernel.h"
#include "core/kernels/tile_scratch.h"
#include "grpcpp/version_info.h"
#include "qkserve/version.h"
#include "server/lifecycle/health_check.h"
#include "server/lifecycle/listen_address.h"
#include "server/lifecycle/stop_signals.h"
#include "server/observe/log_writer.h"
#include "server/observe/process_log.h"
#include "server/options.h"
#include "server/server.h"

#if GRPC_CPP_VERSION_MAJOR == 1 && GRPC_CPP_VERSION_MINOR < 65
#include "grpc/support/log.h"
#define QKSERVE_CATCHES_GRPC_LOG
#endif

namespace qkserve {
namespace {

constexpr int kExitError = 1;
constexpr int kExitUsage = 2;

// The command line: what it tells the server, and what it tells the program alone.
struct MainOptions {
  ServerOptions server = {.http_address = "127.0.0.1:8080"};
  std::string port_file, http_port_file;
  std::string kernel = "auto";
  LogFormat log_format = LogFormat::kText;
  std::optional<std::string> check;  // an address to check, instead of serving
  bool version = false;

  void AddFlags(Flags& flags);
};

void MainOptions::AddFlags(Flags& flags) {
  flags.BeginGroup("Addresses");
  flags.Add("listen_address", &server.listen_address,
            "HOST:PORT or unix:PATH to serve gRPC on; port 0 takes a free one");
  flags.Add("port_file", &port_file,
            "write the port that was taken to this file, once the server listens");
  flags.Add("http_address", &server.http_address,
            "HOST:PORT for /metrics, /healthz, /readyz and a page at /; port 0 takes a free one, "
            "empty: no HTTP",
            {.may_be_empty = true});
  flags.Add("http_port_file", &http_port_file,
            "write the HTTP port that was taken to this file, before key sets are loaded");

  flags.BeginGroup("Key sets");
  flags.Add("key_set_dir", &server.key_set_dir,
            "directory that key sets are kept in; empty: they end with the server",
            {.may_be_empty = true});
  flags.Add("key_set_dir_read_only", &server.key_set_dir_read_only,
            "serve what another server writes to key_set_dir, and follow its changes");
  flags.Add("key_set_memory", &server.key_set_memory,
            "bytes of key sets in memory; 0: half of the memory this process may use");
  flags.Add("upload_idle_timeout", &server.upload_idle_timeout,
            "an upload of a key set ends if it completes no message for this time");

  flags.BeginGroup("Computing");
  flags.Add("workers", &server.workers,
            "threads that compute; 0: the CPUs this process may use (affinity, cgroup quota)");
  flags.Add("kernel", &kernel,
            "OpenBLAS kernel, for example SkylakeX, Haswell; auto: the best for this CPU");

  flags.BeginGroup("Limits");
  flags.Add("message_bytes_max", &server.message_bytes_max, "largest message in bytes, each way");
  flags.Add("in_flight_bytes_max", &server.in_flight_bytes_max,
            "bytes of requests and results over all requests in flight");
  flags.Add("queue_requests_max", &server.queue_requests_max,
            "requests that may wait for a worker");
  flags.Add("queue_time_max", &server.queue_time_max,
            "predicted time to serve what may wait for a worker");

  flags.BeginGroup("Connections");
  flags.Add("connection_age", &server.connection_age,
            "close connections at this age or up to 22 % later, after their calls, so that clients "
            "look names up again; 0: never");
  flags.Add("keepalive_interval_min", &server.keepalive_interval_min,
            "cut clients off that send keepalive pings faster; 0: none");
  flags.Add("drain_grace", &server.drain_grace,
            "after SIGTERM clients are sent away; calls are still answered until none has come for "
            "this time");
  flags.Add("drain_timeout", &server.drain_timeout,
            "after drain_grace, how long calls that have begun may take to finish");

  flags.BeginGroup("Log");
  flags.Add("log_format", &log_format,
            "lines of the log, on standard error: text, or json (one object a line)");
  flags.Add("slow_request_threshold", &server.slow_request_threshold,
            "log requests that take at least this time; 0: none");

  flags.BeginGroup("Instead of serving");
  flags.Add("check", &check,
            "ask the server at this address for its health, exit 0 if it serves, else 1",
            {.may_be_empty = true});
  flags.Add("version", &version, "print the version");
}

// Set once, before there are other threads.
LogFormat log_format = LogFormat::kText;

int Fail(const absl::Status& status, int exit_code = kExitError) {
  WriteToLog(absl::StrCat("error: ", absl::StatusCodeToString(status.code()), ": ",
                          status.message(), "\n"));
  return exit_code;
}

void Log(const LogEvent& event) {
  WriteToLog(absl::StrCat(FormatLogLine(log_format, absl::Now(), event), "\n"));
}

// Ends serving with an error. With --log_format=json the last line is JSON, too.
int FailServing(const absl::Status& status) {
  const int exit_code = absl::IsInvalidArgument(status) ? kExitUsage : kExitError;
  if (log_format == LogFormat::kText) return Fail(status, exit_code);
  Log({LogLevel::kError,
       std::string(status.message()),
       {{"code", absl::StatusCodeToString(status.code())}}});
  return exit_code;
}

#ifdef QKSERVE_CATCHES_GRPC_LOG
// Gives gRPC's own lines the form of the others. (Newer versions log with Abseil.)
void LogForGrpc(gpr_log_func_args* args) {
  const LogLevel level =
      args->severity == GPR_LOG_SEVERITY_ERROR ? LogLevel::kError : LogLevel::kInfo;
  Log({level, args->message, {{"source", absl::StrCat("grpc ", args->file, ":", args->line)}}});
  // gRPC aborts the process after this line, so it is written first.
  if (absl::StartsWith(args->message, "assertion failed")) FlushLog();
}
#endif

// Writes the port to a file. The file appears whole: a reader that polls for it must never see half
// of it.
absl::Status WritePortFile(const char* flag, const std::string& path, int port) {
  if (path.empty()) return absl::OkStatus();
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored) && !std::filesystem::is_regular_file(path, ignored)) {
    return absl::FailedPreconditionError(
        absl::StrCat(flag, ": ", path, " is there and is no regular file"));
  }
  absl::Status status = WriteFileWhole(path, {absl::StrCat(port, "\n")}, IfIrreplaceable::kFail);
  if (status.ok()) return status;
  return absl::FailedPreconditionError(absl::StrCat(flag, ": ", status.message()));
}

// Waits for the signal and returns it. Meanwhile, whenever no request is in flight, it gives the
// allocator's free memory back to the system.
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

// Raises the limit of file descriptors, because each connection takes one. If none is left, gRPC
// stops accepting for good.
void AllowManyConnections() {
  rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

// Prints the address. Does not block, although standard output may be a full pipe.
void PrintAddress(const std::string& address) {
  const std::string line = absl::StrCat("listening on ", address, "\n");
  try {
    std::thread([line] { WriteWithin(STDOUT_FILENO, line, absl::InfiniteDuration()); }).detach();
  } catch (const std::system_error&) {
    WriteWithin(STDOUT_FILENO, line, absl::ZeroDuration());
  }
}

int Serve(const MainOptions& main_options) {
  // Each of the allocator's arenas keeps free memory of its own. By default there are 8 arenas for
  // each CPU. With one for two CPUs the process needs a tenth less memory than with one for each
  // CPU, and throughput is the same.
  mallopt(M_ARENA_MAX, std::max(1, static_cast<int>(UsableCpus() / 2)));
  StartLogWriter(log_format);
  AllowManyConnections();
  const int stop = CatchStopSignals();
  if (stop < 0) return FailServing(absl::InternalError("cannot make a pipe"));

#ifdef QKSERVE_CATCHES_GRPC_LOG
  gpr_set_log_function(LogForGrpc);
#endif
  ServerOptions options = main_options.server;
  options.log = Log;
  options.log_lines_dropped = LogLinesDropped;
  options.on_http_listening = [&main_options](int port) {
    return WritePortFile("http_port_file", main_options.http_port_file, port);
  };
  options.is_stopping = [stop] { return IsStopping(stop); };
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options);
  if (absl::IsCancelled(server.status())) {
    // The exit code is 0, because no request was accepted yet.
    Log({LogLevel::kInfo, "a signal ended the start"});
    return 0;
  }
  if (!server.ok()) return FailServing(server.status());
  Log({LogLevel::kInfo, absl::StrCat("qkserve ", kVersion, ": ", (*server)->description())});
  const absl::Status written =
      WritePortFile("port_file", main_options.port_file, (*server)->port());
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
    const absl::Status status = ParseHostPort({"check", "unix:PATH"}, address).status();
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
  MainOptions options;
  Flags flags(
      "qkserve: dot-product attention scores as a network service\n"
      "usage: qkserve [--flag=value ...]\n\nEvery flag may be left out.\n");
  options.AddFlags(flags);
  const absl::StatusOr<std::string> help =
      flags.Parse(absl::MakeConstSpan(argv + 1, static_cast<size_t>(argc - 1)));
  if (!help.ok()) {
    Fail(help.status());
    WriteToLog("try: qkserve --help\n");
    return kExitUsage;
  }
  if (!help->empty()) {
    std::cout << *help;
    return 0;
  }
  if (options.version) {
    std::cout << "qkserve " << kVersion << std::endl;
    return 0;
  }
  // An empty value counts, too: a check that was asked for must not become a server.
  if (options.check.has_value()) return Check(*options.check);
  log_format = options.log_format;
  // gRPC's mutexes are Abseil's. Debian's build of Abseil records every pair of mutexes that is
  // held together, which costs some microseconds a request.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const absl::Status status = SelectBlasKernelOrReexec(options.kernel, argv, Log);
  if (!status.ok()) return FailServing(status);
  return Serve(options);
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
