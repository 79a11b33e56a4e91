// qkserve: the server. Its flags are in main_options.cc.

#include <malloc.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/flags.h"
#include "base/host.h"
#include "base/standard_streams.h"
#include "base/status_macros.h"
#include "base/thread_limit.h"
#include "base/whole_file.h"
#include "core/kernels/blas_kernel.h"
#include "core/kernels/tile_scratch.h"
#include "grpcpp/version_info.h"
#include "qkserve/version.h"
#include "server/access/identity.h"
#include "server/access/token_file.h"
#include "server/lifecycle/health_check.h"
#include "server/lifecycle/listen_address.h"
#include "server/lifecycle/service_manager.h"
#include "server/lifecycle/stop_signals.h"
#include "server/main_options.h"
#include "server/observe/line_limit.h"
#include "server/observe/log_writer.h"
#include "server/observe/process_log.h"
#include "server/observe/process_stats.h"
#include "server/server.h"

#if GRPC_CPP_VERSION_MAJOR == 1 && GRPC_CPP_VERSION_MINOR < 65
#include "grpc/support/log.h"
#define QKSERVE_CATCHES_GRPC_LOG
#endif

namespace qkserve {
namespace {

constexpr int kExitError = 1;
constexpr int kExitUsage = 2;

// The format of the log. It is set once, before other threads start.
LogFormat log_format = LogFormat::kText;

void Log(const LogEvent& event) {
  WriteToLog(absl::StrCat(FormatLogLine(log_format, absl::Now(), event), "\n"));
}

// Says why the process ends, in the format of the log. Returns the exit code. The code for
// INVALID_ARGUMENT differs, because it tells a supervisor that another try would fail, too.
int Fail(const absl::Status& status) {
  const std::string code = absl::StatusCodeToString(status.code());
  if (log_format == LogFormat::kText) {
    // As in qkctl, the text about wrong usage has no status code, because the exit code tells it.
    const std::string prefix = absl::IsInvalidArgument(status) ? "" : absl::StrCat(code, ": ");
    WriteToLog(absl::StrCat("error: ", prefix, status.message(), "\n"));
  } else {
    Log({LogLevel::kError, std::string(status.message()), {{"code", code}}});
  }
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitError;
}

int Print(const std::string& text) { return PrintOut(text) ? 0 : kExitError; }

#ifdef QKSERVE_CATCHES_GRPC_LOG
// Gives gRPC's lines the format of the log. (Newer versions of gRPC log with Abseil.)
void LogForGrpc(gpr_log_func_args* args) {
  // This line says that gRPC cannot listen on an address. It is left out, because the process ends
  // with a shorter line about that.
  if (absl::StrContains(args->message, "No address added out of total")) return;
  // gRPC aborts the process after this line, so the line is written at once and is never left out.
  const bool is_last = absl::StartsWith(args->message, "assertion failed");
  // Anybody who can connect can cause lines, for example by failed handshakes. So they are limited.
  static LineLimit& limit = *new LineLimit();
  const std::optional<int64_t> left_out = limit.Take(absl::Now());
  if (!left_out.has_value() && !is_last) return;
  const bool is_peers_fault = absl::StrContains(args->message, "Handshake failed") ||
                              absl::StartsWith(args->message, "No match found for server name");
  const bool is_error = args->severity == GPR_LOG_SEVERITY_ERROR && !is_peers_fault;
  LogEvent event = {is_error ? LogLevel::kError : LogLevel::kInfo,
                    args->message,
                    {{"source", absl::StrCat("grpc ", args->file, ":", args->line)}}};
  if (left_out.value_or(0) > 0) event.fields.emplace_back("left_out", *left_out);
  Log(event);
  if (is_last) FlushLog();
}
#endif

// Writes the port to a file. The file appears whole, because a reader that polls for it must never
// see half of it.
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

// Waits for a stop signal and returns it. Meanwhile gives the allocator's free memory back to the
// system when no request is in flight.
int AwaitStopSignal(int pipe, Server& server) {
  constexpr int kTrimEveryMs = 2000;
  // Connections take memory even without a request, for example for headers that never end. Up to
  // this many bytes are not given back, because giving memory back and getting it again takes time.
  constexpr int64_t kLeftAloneBytes = int64_t{16} << 20;
  const auto resident_bytes = [] { return ProcessStats::ReadUsage().resident_bytes; };
  int64_t trimmed_to_bytes = resident_bytes();
  bool worked = false;
  pollfd readable = {.fd = pipe, .events = POLLIN, .revents = 0};
  while (poll(&readable, 1, kTrimEveryMs) <= 0) {
    if (!server.IsIdle()) {
      worked = true;
    } else if (worked || resident_bytes() > trimmed_to_bytes + kLeftAloneBytes) {
      FreeKeptScratch();
      malloc_trim(0);
      trimmed_to_bytes = resident_bytes();
      worked = false;
    }
  }
  char signal = 0;
  static_cast<void>(!read(pipe, &signal, 1));
  return signal;
}

// Raises the limit of file descriptors, because each connection takes one.
void AllowManyConnections() {
  rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

// Prints the address, for people and scripts. Does not block, although standard output may be a
// full pipe.
void PrintAddress(const std::string& address) {
  const std::string line = absl::StrCat("listening on ", address, "\n");
  try {
    std::thread([line] { WriteWithin(STDOUT_FILENO, line, absl::InfiniteDuration()); }).detach();
  } catch (const std::system_error&) {
    WriteWithin(STDOUT_FILENO, line, absl::ZeroDuration());
  }
}

// Serves until a signal comes. OK: all calls in flight have finished. INVALID_ARGUMENT: a flag is
// wrong.
absl::Status Serve(const MainOptions& main_options) {
  // Each arena of the allocator keeps free memory. By default there are 8 arenas for each CPU. With
  // one arena for two CPUs, the process needs a tenth less memory than with one for each CPU, and
  // throughput is the same.
  mallopt(M_ARENA_MAX, std::max(1, static_cast<int>(UsableCpus() / 2)));
  StartLogWriter(log_format);
  AllowManyConnections();
  const int stop = CatchStopSignals();
  if (stop < 0) return absl::InternalError("cannot make a pipe");
  TellServiceManager("STATUS=loading key sets");

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
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(server.status());
  Log({LogLevel::kInfo, absl::StrCat("qkserve ", kVersion, ": ", (*server)->description())});
  RETURN_IF_ERROR(WritePortFile("port_file", main_options.port_file, (*server)->port()));
  const std::string& address = (*server)->address();
  Log({LogLevel::kInfo, "listening", {{"address", address}}});
  // Only the text format prints the address. A reader of JSON must get JSON alone, and the journal
  // has the line above.
  if (log_format == LogFormat::kText) PrintAddress(address);
  TellServiceManager(absl::StrCat("READY=1\nSTATUS=listening on ", address));

  const int signal = AwaitStopSignal(stop, **server);
  Log({LogLevel::kInfo, absl::StrCat("signal ", signal, ": draining")});
  TellServiceManager("STOPPING=1\nSTATUS=draining");
  RETURN_IF_ERROR((*server)->Drain());
  Log({LogLevel::kInfo, "drained"});
  return absl::OkStatus();
}

// Prints a new token, then its line for the token file.
int MakeTokenFor(const std::string& identity) {
  if (!IsIdentity(identity)) {
    return Fail(absl::InvalidArgumentError(absl::StrCat(
        "--make_token: got '", identity, "', expected an identity: ", IdentityRule())));
  }
  const absl::StatusOr<std::string> token = MakeToken();
  if (!token.ok()) return Fail(token.status());
  const absl::StatusOr<std::string> line = TokenFileLine(identity, *token);
  if (!line.ok()) return Fail(line.status());
  return Print(absl::StrCat(*token, "\n", *line, "\n"));
}

// Returns the command line. `help` and `version` become flags, because users of other programs type
// them.
std::vector<const char*> Arguments(int argc, char** argv) {
  std::vector<const char*> args(argv + std::min(argc, 1), argv + argc);
  if (args.size() == 1 && absl::string_view(args[0]) == "help") args[0] = "--help";
  if (args.size() == 1 && absl::string_view(args[0]) == "version") args[0] = "--version";
  return args;
}

// The message may begin with the name of an option. Replaces this name by that of the flag or
// variable that set the option.
absl::Status WithSource(const Flags& flags, const absl::Status& status) {
  return absl::Status(status.code(), flags.NameSource(status.message()));
}

int Check(const MainOptions& options, const Flags& flags) {
  const std::string& address = *options.check;
  if (!absl::StartsWith(address, "unix:")) {
    const absl::Status status = ParseHostPort({"--check", "unix:PATH"}, address).status();
    if (!status.ok()) return Fail(status);
  }
  absl::Status status = options.check_tls.Validate();
  if (!status.ok()) return Fail(WithSource(flags, status));
#ifdef QKSERVE_CATCHES_GRPC_LOG
  // gRPC's own lines are left out, because the error below has the reason.
  gpr_set_log_function([](gpr_log_func_args* /*args*/) {});
#endif
  constexpr absl::Duration kCheckTimeout = absl::Seconds(5);
  status = CheckThreads(GrpcThreads());
  std::optional<CheckTls> tls;
  if (!options.server.tls_cert_file.empty() || options.check_tls != CheckTls()) {
    tls = options.check_tls;
  }
  if (status.ok()) status = CheckHealth(address, tls, kCheckTimeout);
  if (status.ok()) return Print(absl::StrCat(address, " is serving\n"));
  Fail(status);
  return kExitError;
}

int Main(int argc, char** argv) {
  MainOptions options;
  Flags flags(
      "qkserve: dot-product attention scores as a network service\n"
      "usage: qkserve [--flag=value ...]\n\n"
      "Every flag may be left out. An environment variable may give its value:\n"
      "QKSERVE_WORKERS=2 is --workers=2. A flag on the command line beats its variable.\n"
      "Sizes are 2GiB, 512MiB, 1GB or a number of bytes; times are 10s, 500ms or 1m30s.\n");
  options.AddFlags(flags);
  const absl::StatusOr<std::string> help = flags.Parse(Arguments(argc, argv));
  if (help.ok()) {
    if (!help->empty()) return Print(*help);
    if (options.version) return Print(absl::StrCat("qkserve ", kVersion, "\n"));
    if (options.make_token.has_value()) return MakeTokenFor(*options.make_token);
  }
  // Variables are read even if the command line is wrong, because they say how to log the error.
  const absl::Status variables = flags.ReadEnvironment(kVariablePrefix);
  // An empty --check is a check, too, because the program must not become a server then. A check
  // ignores variables with wrong values, because they concern the server.
  if (help.ok() && options.check.has_value()) return Check(options, flags);
  log_format = options.log_format;
  absl::Status status = help.status();
  status.Update(variables);
  status.Update(options.Validate());
  if (!status.ok()) {
    const int exit_code = Fail(WithSource(flags, status));
    if (log_format == LogFormat::kText) WriteToLog("See 'qkserve --help'.\n");
    return exit_code;
  }
  // gRPC's mutexes are Abseil's. Debian's build of Abseil records every pair of mutexes that a
  // thread holds together, which costs some microseconds a request.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  status = SelectKernelsOrReexec(options.kernel, argv, Log);
  for (const std::string& message : flags.MisspeltVariables(kVariablePrefix)) {
    Log({LogLevel::kWarning, message});
  }
  if (status.ok()) status = Serve(options);
  return status.ok() ? 0 : Fail(WithSource(flags, status));
}

}  // namespace
}  // namespace qkserve

int main(int argc, char** argv) {
  qkserve::OpenClosedStandardStreams();
  qkserve::IgnoreWriteSignals();
  const int exit_code = qkserve::Main(argc, argv);
  qkserve::FlushLog();
  return exit_code;
}
