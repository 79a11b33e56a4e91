// The program as a user of a shell or a supervisor sees it.

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "core/kernels/blas_kernel.h"
#include "gmock/gmock.h"
#include "grpcpp/version_info.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "qkserve/client.h"
#include "qkserve/tensor.h"
#include "qkserve/version.h"
#include "tests/support/process.h"
#include "tests/support/test_authority.h"

namespace qkserve {
namespace {

class QkserveProgramTest : public testing::Test {
 protected:
  std::string Path(absl::string_view name) const { return directory_.Path(name); }

  // Runs a command that does not serve, until it ends.
  Outcome Qkserve(std::vector<std::string> args) const {
    args.insert(args.begin(), {QKSERVE_PROGRAM, "--http_address="});
    return RunCommand(std::move(args), directory_);
  }

  void ExpectWrongUsage(std::vector<std::string> args, absl::string_view message) const {
    const Outcome outcome = Qkserve(std::move(args));
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_TRUE(absl::StartsWith(outcome.err, "error: ")) << outcome.err;
    EXPECT_TRUE(absl::StrContains(outcome.err, message)) << message << "\n" << outcome.err;
  }

  // Starts the server with a certificate for qkserve.test.
  void StartWithTls(const TestAuthority& authority) {
    const Identity identity = authority.Issue("DNS:qkserve.test");
    std::ofstream(Path("cert.pem")) << identity.certificate;
    std::ofstream(Path("key.pem")) << identity.key;
    Start({absl::StrCat("--tls_cert_file=", Path("cert.pem")),
           absl::StrCat("--tls_key_file=", Path("key.pem"))});
  }

  // Starts the server, and returns when it listens. If `args` name no address, it uses a free port
  // of 127.0.0.1.
  void Start(std::vector<std::string> args = {}, std::vector<std::string> environment = {}) {
    args.insert(args.begin(), {QKSERVE_PROGRAM, "--listen_address=127.0.0.1:0",
                               "--http_address=", absl::StrCat("--port_file=", Path("port"))});
    std::filesystem::remove(Path("port"));
    server_.emplace(std::move(args), Path("server_out"), Path("server_err"),
                    std::move(environment));
    ASSERT_TRUE(Eventually([this] { return server_->Ended() || ReadFile(Path("port")) != ""; }));
    ASSERT_FALSE(server_->Ended()) << ServerErrors();
    const std::string port = ReadFile(Path("port"));
    address_ = absl::StrCat("127.0.0.1:", absl::StripSuffix(port, "\n"));
    // The client does not retry, because retries would hide what the server says.
    client_ = Client::Create({.address = address_, .attempts_max = 1}).value();
  }

  // Expects that the server ends soon with code 0. Called after a signal, when nothing is in
  // flight. The client is still connected. An idle client must not delay the end, although gRPC
  // would wait up to 20 seconds for it.
  void ExpectEndsWithCodeZero() {
    const absl::Time start = absl::Now();
    EXPECT_EQ(server_->Wait(), 0) << ServerErrors();
    EXPECT_LT(absl::Now() - start, absl::Seconds(4));
  }

  std::string ServerErrors() const { return ReadFile(Path("server_err")); }

  // The process name that ps and pgrep show.
  std::string ProcessName() const {
    return ReadFile(absl::StrCat("/proc/", server_->pid(), "/comm"));
  }

  const TemporaryDirectory directory_{"qkserve_program_test"};
  std::optional<Process> server_;
  std::string address_;             // address of the server
  std::unique_ptr<Client> client_;  // client of the server
};

// --- Command line -------------------------------------------------------------------------------

TEST_F(QkserveProgramTest, HelpListsEveryFlagAndNoneOfTheLibraries) {
  const Outcome outcome = Qkserve({"--help"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err, "");
  for (const absl::string_view flag : {"--listen_address=127.0.0.1:50051",
                                       "--port_file=",
                                       "--http_address=127.0.0.1:8080",
                                       "--http_port_file=",
                                       "--tls_cert_file=",
                                       "--allow_plaintext=false",
                                       "--token_file=",
                                       "--access_file=",
                                       "--make_token=",
                                       "--check_ca_file=",
                                       "--log_format=text",
                                       "--log_requests=slow",
                                       "--slow_request_threshold=1s",
                                       "--workers=0",
                                       "--kernel=auto",
                                       "--message_bytes_max=256MiB",
                                       "--in_flight_bytes_max=2GiB",
                                       "--queue_requests_max=",
                                       "--ready_key_sets=some",
                                       "--queue_time_max=",
                                       "--drain_grace=",
                                       "--drain_timeout=",
                                       "--check=",
                                       "--version="}) {
    EXPECT_TRUE(absl::StrContains(outcome.out, absl::StrCat("\n  ", flag))) << flag << "\n"
                                                                            << outcome.out;
  }
  EXPECT_FALSE(absl::StrContains(outcome.out, "--flagfile")) << outcome.out;
}

TEST_F(QkserveProgramTest, HelpFitsATerminalAndTheDocuments) {
  const std::string help = RunCommand({QKSERVE_PROGRAM, "help"}, directory_).out;
  EXPECT_EQ(help, RunCommand({QKSERVE_PROGRAM, "--help"}, directory_).out);
  std::vector<std::string> flags;
  for (const absl::string_view line : absl::StrSplit(help, '\n')) {
    EXPECT_LE(line.size(), 80) << line;
    absl::string_view flag = line;
    if (absl::ConsumePrefix(&flag, "  --")) {
      flags.emplace_back(flag.substr(0, flag.find('=')));
    }
  }
  // If this fails, copy the output of qkserve --help into the block of docs/flags.md.
  EXPECT_TRUE(absl::StrContains(ReadFile(QKSERVE_SOURCE "/docs/flags.md"), help)) << help;
  // The man page escapes hyphens. Only flags begin with two of them there.
  const std::string man = ReadFile(QKSERVE_SOURCE "/packaging/qkserve.8");
  const std::vector<absl::string_view> parts = absl::StrSplit(man, "\\-\\-");
  for (const absl::string_view part : absl::MakeConstSpan(parts).subspan(1)) {
    const std::string flag(part.substr(0, part.find_first_not_of("abcdefghijklmnopqrstuvwxyz_")));
    // The synopsis has two hyphens without a name after them.
    if (!flag.empty() && flag != "help") {
      EXPECT_THAT(flags, testing::Contains(flag));
    }
  }
  // The variables in these files must be flags, too.
  for (const absl::string_view file : {"packaging/server/qkserve.default",
                                       "packaging/server/qkserve.service", "docker/Dockerfile"}) {
    const std::string text = ReadFile(absl::StrCat(QKSERVE_SOURCE, "/", file));
    const std::vector<absl::string_view> after = absl::StrSplit(text, "QKSERVE_");
    EXPECT_GT(after.size(), 1) << file;
    for (const absl::string_view part : absl::MakeConstSpan(after).subspan(1)) {
      const absl::string_view name =
          part.substr(0, part.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_"));
      EXPECT_THAT(flags, testing::Contains(absl::AsciiStrToLower(name))) << file;
    }
  }
  // No flag may have such a name, because Kubernetes makes variables with these names for Services.
  for (const std::string& flag : flags) {
    EXPECT_FALSE(absl::EndsWith(flag, "port") || absl::EndsWith(flag, "_host")) << flag;
  }
}

TEST_F(QkserveProgramTest, OutputThatCannotBeWrittenIsAnError) {
  ASSERT_NO_FATAL_FAILURE(Start());
  for (const std::string& argument :
       {std::string("--help"), std::string("--version"), absl::StrCat("--check=", address_)}) {
    const Outcome outcome = RunCommand(
        {"/bin/sh", "-c", "exec \"$0\" \"$@\" >/dev/full", QKSERVE_PROGRAM, argument}, directory_);
    EXPECT_EQ(outcome.exit_code, 1) << argument;
    EXPECT_EQ(outcome.err, "error: standard output: cannot write: No space left on device\n");
    const Outcome closed = RunCommand(
        {"/bin/sh", "-c", "exec \"$0\" \"$@\" >&-", QKSERVE_PROGRAM, argument}, directory_);
    EXPECT_EQ(closed.exit_code, 1) << argument;
    EXPECT_EQ(closed.err, "error: standard output: cannot write: Bad file descriptor\n");
  }
}

TEST_F(QkserveProgramTest, TellsItsVersion) {
  EXPECT_EQ(RunCommand({QKSERVE_PROGRAM, "version"}, directory_).out,
            absl::StrCat("qkserve ", kVersion, "\n"));

  const Outcome outcome = Qkserve({"--version"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.out, absl::StrCat("qkserve ", kVersion, "\n"));
  EXPECT_EQ(outcome.err, "");
}

TEST_F(QkserveProgramTest, WrongUsageEndsWithCodeTwoAndNamesWhatIsWrong) {
  ExpectWrongUsage({"--wrokers=1"}, "unknown flag --wrokers; did you mean --workers?");
  ExpectWrongUsage({"--listen-address=127.0.0.1:0"}, "did you mean --listen_address?");
  ExpectWrongUsage({"--", "--workers=1"}, "surplus argument '--workers=1'");
  ExpectWrongUsage({"serve"}, "surplus argument 'serve'");
  ExpectWrongUsage({"--key_set_memory=2G"}, "--key_set_memory: got '2G': expected a size, as 2GiB");
  ExpectWrongUsage({"--port_file=port", "--listen_address=unix:socket"},
                   "--port_file needs a listen_address with a port; was unix:socket");
  ExpectWrongUsage({"--http_port_file=port"}, "--http_port_file needs an http_address; was ''");
  ExpectWrongUsage({"--port_file=port", "--http_port_file=./port", "--http_address=127.0.0.1:0"},
                   "--http_port_file must be another file than port_file; both were ./port");
  ExpectWrongUsage({"--log_requests=all"}, "--log_requests: got 'all': expected slow or errors");
  ExpectWrongUsage({"--flagfile=x"}, "unknown flag --flagfile");
  ExpectWrongUsage({"surplus"}, "surplus argument 'surplus'");
  ExpectWrongUsage({"--workers=x"}, "--workers: got 'x'");
  ExpectWrongUsage({"--workers"}, "--workers lacks its value");
  ExpectWrongUsage({"--workers=-1"}, "--workers must be from 0 to ");
  ExpectWrongUsage({"--message_bytes_max=3000000000"}, "message_bytes_max must be from ");
  ExpectWrongUsage({"--queue_time_max=0"}, "queue_time_max must be positive; was 0");
  ExpectWrongUsage({"--http_address=8080"}, "http_address: got '8080', expected HOST:PORT");
  ExpectWrongUsage({"--log_format=xml"}, "--log_format: got 'xml'");
  ExpectWrongUsage({"--slow_request_threshold=-1s"},
                   "slow_request_threshold must not be negative; was -1s");
  ExpectWrongUsage({"--drain_grace=inf"}, "drain_grace must be finite; was inf");
  ExpectWrongUsage({"--http_address=*:0"}, "http_address: got '*:0'; all addresses");
  ExpectWrongUsage({"--listen_address=0.0.0.0:0"}, "--listen_address: other machines may reach");
  ExpectWrongUsage({"--listen_address=127.0.0.1:0", "--http_address=0.0.0.0:0"},
                   "--http_address: other machines may reach");
  ExpectWrongUsage({"--tls_cert_file=c"}, "--tls_cert_file needs a tls_key_file; was ''");
  for (const absl::string_view address :
       {"", "127.0.0.1", "127.0.0.1:99999", ":abc", "127.0.0.1:+1"}) {
    ExpectWrongUsage({absl::StrCat("--check=", address)},
                     absl::StrCat("check: got '", address, "', expected HOST:PORT"));
  }
  ExpectWrongUsage({"--drain_grace=-1s"}, "drain_grace must not be negative; was -1s");
}

// --- Variables ----------------------------------------------------------------------------------

TEST_F(QkserveProgramTest, AVariableGivesAFlagUnlessTheCommandLineDoes) {
  // The command line's address, 127.0.0.1:0, overrides the variable.
  ASSERT_NO_FATAL_FAILURE(
      Start({"--queue_requests_max=5"},
            {"QKSERVE_WORKERS=3", "QKSERVE_KEY_SET_MEMORY=64MiB", "QKSERVE_QUEUE_REQUESTS_MAX=no",
             "QKSERVE_LISTEN_ADDRESS=192.0.2.1:1", "QKSERVE_LOG_FORMAT=json"}));
  const absl::StatusOr<v1::GetStatusResponse> status = client_->GetStatus();
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->workers(), 3);
  EXPECT_EQ(status->key_set_bytes_max(), 64 << 20);
  EXPECT_TRUE(absl::StrContains(ServerErrors(), "key_set_memory 64.0 MiB")) << ServerErrors();
  EXPECT_TRUE(absl::StrContains(ServerErrors(), "\"message\":\"listening\"")) << ServerErrors();
}

TEST_F(QkserveProgramTest, AnErrorNamesTheVariable) {
  for (const auto& [variable, message] :
       {std::pair("QKSERVE_WORKERS=x", "QKSERVE_WORKERS: got 'x': expected a whole number"),
        {"QKSERVE_WORKERS=-1", "QKSERVE_WORKERS must be from 0 to 1024; was -1"},
        {"QKSERVE_WORKERS=", "QKSERVE_WORKERS: got '', expected a value, or the variable unset"},
        {"QKSERVE_KERNEL=NoSuch", "QKSERVE_KERNEL: got NoSuch"},
        {"QKSERVE_HTTP_ADDRESS=8080", "QKSERVE_HTTP_ADDRESS: got '8080', expected HOST:PORT"}}) {
    Process server({QKSERVE_PROGRAM, "--listen_address=127.0.0.1:0"}, Path("out"), Path("err"),
                   {variable});
    EXPECT_EQ(server.Wait(), 2) << variable;
    EXPECT_TRUE(absl::StartsWith(ReadFile(Path("err")), absl::StrCat("error: ", message)))
        << ReadFile(Path("err"));
  }
}

// Kubernetes sets these variables in the pods of a namespace with a Service named qkserve. Docker
// sets them in a container that is linked to a container of this name.
TEST_F(QkserveProgramTest, VariablesOfKubernetesAreNoFlags) {
  const std::vector<std::string> service = {"QKSERVE_PORT=tcp://10.0.0.1:50051",
                                            "QKSERVE_SERVICE_HOST=10.0.0.1",
                                            "QKSERVE_SERVICE_PORT=50051",
                                            "QKSERVE_SERVICE_PORT_GRPC=50051",
                                            "QKSERVE_SERVICE_PORT_HTTP=8080",
                                            "QKSERVE_PORT_50051_TCP=tcp://10.0.0.1:50051",
                                            "QKSERVE_PORT_50051_TCP_ADDR=10.0.0.1",
                                            "QKSERVE_PORT_50051_TCP_PORT=50051",
                                            "QKSERVE_PORT_50051_TCP_PROTO=tcp",
                                            "QKSERVE_NAME=/web/qkserve",
                                            "QKSERVE_VERSION=1.2.3",
                                            "QKSERVE_CHECK=10.0.0.1:50051",
                                            "QKSERVE_HELP=yes"};
  ASSERT_NO_FATAL_FAILURE(Start({}, service));
  EXPECT_TRUE(client_->GetStatus().ok());
  EXPECT_TRUE(absl::StartsWith(address_, "127.0.0.1:")) << address_;
  EXPECT_FALSE(absl::StrContains(ServerErrors(), "names no flag")) << ServerErrors();
}

TEST_F(QkserveProgramTest, AMisspeltVariableIsAWarningThatNamesTheClosest) {
  ASSERT_NO_FATAL_FAILURE(Start({}, {"QKSERVE_WORKER=2"}));
  EXPECT_TRUE(absl::StrContains(ServerErrors(),
                                "QKSERVE_WORKER: names no flag; did you mean QKSERVE_WORKERS?"))
      << ServerErrors();
}

// --- Listening ----------------------------------------------------------------------------------

TEST_F(QkserveProgramTest, SaysWhereItListensOnStandardOutputAndInThePortFile) {
  ASSERT_NO_FATAL_FAILURE(Start({absl::StrCat("--port_file=", Path("port"))}));
  absl::string_view port = address_;
  ASSERT_TRUE(absl::ConsumePrefix(&port, "127.0.0.1:")) << address_;
  EXPECT_NE(port, "0");
  EXPECT_EQ(ReadFile(Path("port")), absl::StrCat(port, "\n"));
  EXPECT_TRUE(Eventually([this] {
    return ReadFile(Path("server_out")) == absl::StrCat("listening on ", address_, "\n");
  })) << ReadFile(Path("server_out"));
  EXPECT_TRUE(client_->GetStatus().ok());
}

TEST_F(QkserveProgramTest, WritesTheHttpPortAndEveryLineOfItsLogAsJson) {
  ASSERT_NO_FATAL_FAILURE(Start({"--http_address=127.0.0.1:0", "--log_format=json",
                                 absl::StrCat("--http_port_file=", Path("http_port"))}));
  EXPECT_NE(ReadFile(Path("http_port")), "");
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), 0);
  const std::string log = ServerErrors();
  EXPECT_TRUE(absl::StrContains(log, R"("message":"http listening","address":"127.0.0.1:)")) << log;
  EXPECT_TRUE(absl::StrContains(log, R"("level":"info","message":"drained")")) << log;
  EXPECT_EQ(ReadFile(Path("server_out")), "");
  for (const absl::string_view line : absl::StrSplit(log, '\n', absl::SkipEmpty())) {
    EXPECT_TRUE(nlohmann::json::accept(line.begin(), line.end())) << line;
  }
}

// The address is in use by a server that already runs.
TEST_F(QkserveProgramTest, AFailureIsALineOfJsonToo) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const Outcome outcome =
      Qkserve({absl::StrCat("--listen_address=", address_), "--log_format=json"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(outcome.err, R"("code":"UNAVAILABLE")")) << outcome.err;
  for (const absl::string_view line : absl::StrSplit(outcome.err, '\n', absl::SkipEmpty())) {
    EXPECT_TRUE(nlohmann::json::accept(line.begin(), line.end())) << line;
  }
}

TEST_F(QkserveProgramTest, WrongUsageIsALineOfJsonWhereverTheFormatIs) {
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"--wrokers=1", "--log_format=json"},
        {"--workers=x", "--log_format=json"},
        {"--workers=-1", "--log_format=json"}}) {
    const Outcome outcome = Qkserve(args);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_EQ(outcome.out, "");
    const auto line = nlohmann::json::parse(outcome.err, nullptr, false);
    ASSERT_FALSE(line.is_discarded()) << outcome.err;
    EXPECT_EQ(line["code"], "INVALID_ARGUMENT");
  }
  Process server({QKSERVE_PROGRAM, "--wrokers=1"}, Path("out"), Path("err"),
                 {"QKSERVE_LOG_FORMAT=json"});
  EXPECT_EQ(server.Wait(), 2);
  EXPECT_TRUE(nlohmann::json::accept(ReadFile(Path("err")))) << ReadFile(Path("err"));
}

TEST_F(QkserveProgramTest, ADirectoryThatCannotBeUsedIsNoWrongUsageAndNamesTheFlag) {
  std::ofstream(Path("file")) << "text";
  for (const auto& [directory, message] :
       {std::pair("file", ": cannot open: Not a directory"),
        {"absent/sets", ": cannot make directory: No such file or directory"}}) {
    const Outcome outcome =
        Qkserve({"--listen_address=127.0.0.1:0", absl::StrCat("--key_set_dir=", Path(directory))});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_TRUE(absl::StartsWith(
        outcome.err, absl::StrCat("error: FAILED_PRECONDITION: --key_set_dir: ", Path(directory))))
        << outcome.err;
    EXPECT_TRUE(absl::StrContains(outcome.err, message)) << outcome.err;
  }
}

TEST_F(QkserveProgramTest, APortFileThatCannotBeWrittenIsAnError) {
  const Outcome outcome = Qkserve(
      {"--listen_address=127.0.0.1:0", absl::StrCat("--port_file=", Path("absent"), "/port")});
  EXPECT_GT(outcome.exit_code, 0);
  EXPECT_EQ(outcome.out, "");
  EXPECT_TRUE(absl::StrContains(outcome.err, "error: ")) << outcome.err;
  EXPECT_TRUE(absl::StrContains(outcome.err, "port_file")) << outcome.err;
}

TEST_F(QkserveProgramTest, ASecondServerOnThePortFailsAndTheFirstGoesOn) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const Outcome outcome = Qkserve({absl::StrCat("--listen_address=", address_)});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err,
            absl::StrCat("error: UNAVAILABLE: --listen_address: ", address_,
                         " is in use by another process; give another one, or unix:PATH\n"));
  EXPECT_TRUE(client_->GetStatus().ok());
}

TEST_F(QkserveProgramTest, StartsOnTheSamePortRightAfterItWasKilled) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const std::string address = address_;
  // A connection stays open, so that TCP still counts the port as in use after the kill.
  const std::unique_ptr<Client> client = std::move(client_);
  ASSERT_TRUE(client->GetStatus().ok());
  server_->Signal(SIGKILL);
  EXPECT_EQ(server_->Wait(), -SIGKILL);

  ASSERT_NO_FATAL_FAILURE(Start({absl::StrCat("--listen_address=", address)}));
  EXPECT_EQ(address_, address);
  EXPECT_TRUE(client_->GetStatus().ok());
  // The earlier client reconnects by itself.
  EXPECT_TRUE(Eventually([&] { return client->GetStatus().ok(); }));
}

TEST_F(QkserveProgramTest, MakesTokensThatItTakes) {
  const Outcome made = Qkserve({"--make_token=ranking"});
  EXPECT_EQ(made.exit_code, 0) << made.err;
  const std::vector<std::string> lines = absl::StrSplit(made.out, '\n');
  ASSERT_EQ(lines.size(), 3) << made.out;
  EXPECT_TRUE(absl::StartsWith(lines[1], "ranking sha256:")) << made.out;
  EXPECT_NE(made.out, Qkserve({"--make_token=ranking"}).out);
  ExpectWrongUsage({"--make_token=anyone"}, "--make_token: got 'anyone', expected an identity");
  ExpectWrongUsage({"--make_token="}, "--make_token: got '', expected an identity");

  std::ofstream(Path("token")) << lines[0];
  std::ofstream(Path("tokens")) << lines[1];
  ASSERT_NO_FATAL_FAILURE(Start({absl::StrCat("--token_file=", Path("tokens"))}));
  EXPECT_TRUE(absl::IsUnauthenticated(client_->GetStatus().status()));
  const std::unique_ptr<Client> ranking =
      Client::Create({.address = address_, .token_file = Path("token")}).value();
  const absl::Status status = ranking->GetStatus().status();
  EXPECT_TRUE(status.ok()) << status;
  // A health check needs no token.
  EXPECT_EQ(Qkserve({absl::StrCat("--check=", address_)}).exit_code, 0);
}

// --- Health -------------------------------------------------------------------------------------

TEST_F(QkserveProgramTest, CheckTellsWhetherAServerServes) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const Outcome serving = Qkserve({absl::StrCat("--check=", address_)});
  EXPECT_EQ(serving.exit_code, 0) << serving.err;
  EXPECT_EQ(serving.out, absl::StrCat(address_, " is serving\n"));

  const ClosedPort port;
  const Outcome closed = Qkserve({absl::StrCat("--check=", port.address())});
  EXPECT_EQ(closed.exit_code, 1);
  EXPECT_EQ(closed.out, "");
  EXPECT_TRUE(absl::StartsWith(closed.err, "error: UNAVAILABLE: ")) << closed.err;
}

// The health check of the image gives only the address as a flag. The container's variables say how
// to use TLS.
TEST_F(QkserveProgramTest, CheckSpeaksTlsWhereTheServerDoes) {
  const TestAuthority authority;
  std::ofstream(Path("ca.pem")) << authority.certificate();
  ASSERT_NO_FATAL_FAILURE(StartWithTls(authority));
  const auto check = [this](std::vector<std::string> variables) {
    Process process({QKSERVE_PROGRAM, absl::StrCat("--check=", address_)}, Path("out"), Path("err"),
                    std::move(variables));
    return process.Wait();
  };
  EXPECT_EQ(check({absl::StrCat("QKSERVE_TLS_CERT_FILE=", Path("cert.pem"))}), 0)
      << ReadFile(Path("err"));
  const std::string ca = absl::StrCat("QKSERVE_CHECK_CA_FILE=", Path("ca.pem"));
  EXPECT_EQ(check({ca, "QKSERVE_CHECK_SERVER_NAME=qkserve.test"}), 0) << ReadFile(Path("err"));
  EXPECT_EQ(check({ca}), 1);
  EXPECT_EQ(check({}), 1);
}

// Anybody who can connect can fail at handshakes.
TEST_F(QkserveProgramTest, FailedHandshakesFillNoLog) {
  if (GRPC_CPP_VERSION_MAJOR > 1 || GRPC_CPP_VERSION_MINOR >= 65) {
    GTEST_SKIP() << "this gRPC logs with Abseil";
  }
  ASSERT_NO_FATAL_FAILURE(StartWithTls(TestAuthority()));
  const std::string port = address_.substr(address_.rfind(':') + 1);
  constexpr int kConnections = 300;
  RunCommand({"/bin/bash", "-c",
              absl::StrCat("for i in {1..", kConnections,
                           "}; do echo plain text >/dev/tcp/127.0.0.1/", port, "; done")},
             directory_);
  const auto lines = [this] {
    const std::vector<std::string> all = absl::StrSplit(ServerErrors(), '\n');
    return std::ranges::count_if(all, [](const std::string& line) {
      return absl::StrContains(line, "info Handshake failed");
    });
  };
  EXPECT_TRUE(Eventually([&] { return lines() > 0; })) << ServerErrors();
  EXPECT_LT(lines(), kConnections);
  EXPECT_FALSE(absl::StrContains(ServerErrors(), "Z error ")) << ServerErrors();
}

// Docker sets the variables of a proxy in containers.
TEST_F(QkserveProgramTest, CheckNeverAsksAProxy) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const ClosedPort closed;
  for (const char* const name : {"http_proxy", "https_proxy", "grpc_proxy"}) {
    Process check(
        {QKSERVE_PROGRAM, absl::StrCat("--check=", address_)}, Path("out"), Path("err"),
        {absl::StrCat(name, "=http://", closed.address()), "no_proxy=", "no_grpc_proxy="});
    EXPECT_EQ(check.Wait(), 0) << name << ": " << ReadFile(Path("err"));
  }
}

TEST_F(QkserveProgramTest, IsNotServingWhileItDrainsAndEndsAtOnceAtASecondSignal) {
  ASSERT_NO_FATAL_FAILURE(Start({"--drain_grace=1h"}));
  server_->Signal(SIGTERM);
  Outcome check;
  ASSERT_TRUE(Eventually([&] {
    check = Qkserve({absl::StrCat("--check=", address_)});
    return check.exit_code != 0;
  }));
  EXPECT_EQ(check.exit_code, 1);
  EXPECT_TRUE(absl::StartsWith(check.err, "error: UNAVAILABLE: ")) << check.err;
  EXPECT_FALSE(server_->Ended());
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), -SIGTERM);
}

// --- The end ------------------------------------------------------------------------------------

TEST_F(QkserveProgramTest, SignalsEndAnIdleServerWithCodeZero) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    ASSERT_NO_FATAL_FAILURE(Start());
    ASSERT_TRUE(client_->GetStatus().ok());
    server_->Signal(signal);
    ExpectEndsWithCodeZero();
  }
}

// Makes a file with a terabyte of keys. The file is a hole, so it takes no disk space, but reading
// it takes minutes.
void MakeEndlessKeySetFile(const std::string& path) {
  constexpr int64_t kBytes = int64_t{1} << 40;
  std::string header = absl::StrCat(
      R"({"keys":{"dtype":"F32","shape":[268435456,1024],"data_offsets":[0,)", kBytes, "]}}");
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const uint64_t size = header.size();
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&size),
             sizeof(size));  // little-endian, like all machines that we run on
  file << header << std::flush;
  std::filesystem::resize_file(path, sizeof(size) + size + kBytes);
}

TEST_F(QkserveProgramTest, ASignalWhileKeySetsAreLoadedEndsTheStartWithCodeZero) {
  ASSERT_TRUE(std::filesystem::create_directory(Path("sets")));
  MakeEndlessKeySetFile(Path("sets/endless.safetensors"));
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    std::filesystem::remove(Path("http_port"));
    Process server({QKSERVE_PROGRAM, "--listen_address=127.0.0.1:0", "--http_address=127.0.0.1:0",
                    absl::StrCat("--http_port_file=", Path("http_port")),
                    absl::StrCat("--key_set_dir=", Path("sets"))},
                   Path("server_out"), Path("server_err"));
    // The server writes the port just before it loads key sets.
    ASSERT_TRUE(Eventually([&] { return ReadFile(Path("http_port")) != ""; }));
    server.Signal(signal);
    EXPECT_EQ(server.Wait(), 0) << ServerErrors();
    EXPECT_EQ(ReadFile(Path("server_out")), "");  // the server never listened
    EXPECT_TRUE(absl::StrContains(ServerErrors(), "a signal ended the start")) << ServerErrors();
  }
  EXPECT_TRUE(std::filesystem::exists(Path("sets/endless.safetensors")));
}

// Threads that each send the same request again and again, until a call fails or Stop is called. A
// request takes one core about a tenth of a second.
class Callers {
 public:
  Callers(const std::string& address, size_t count)
      : client_(Client::Create({.address = address, .channels = 3, .attempts_max = 1}).value()),
        callers_(count) {
    const std::vector<float> elements(kRows * kDepth, 1.0f);
    const TensorView matrix = {
        DataType::kFloat32, {kRows, kDepth}, reinterpret_cast<const std::byte*>(elements.data())};
    request_ = MakeScoreRequest(matrix, matrix, {});
    for (Caller& caller : callers_) {
      caller.thread = std::thread([this, &caller] { Call(caller); });
    }
  }
  ~Callers() {
    Stop();
    Join();
  }

  // After this, no call begins.
  void Stop() { stopped_ = true; }

  // Returns when every caller has ended.
  void Join() {
    for (Caller& caller : callers_) {
      if (caller.thread.joinable()) caller.thread.join();
    }
  }

  // Returns how many calls of each caller ended OK. Each caller's next call may be under way.
  std::vector<int64_t> Answered() const {
    std::vector<int64_t> answered;
    for (const Caller& caller : callers_) answered.push_back(caller.answered);
    return answered;
  }

  // Returns how the last call of a caller ended. Must be called after Join.
  const absl::Status& LastStatus(size_t caller) const { return callers_[caller].status; }

 private:
  static constexpr int64_t kRows = 1500;
  static constexpr int64_t kDepth = 2000;

  struct Caller {
    std::thread thread;
    std::atomic<int64_t> answered{0};
    absl::Status status;
  };

  void Call(Caller& caller) {
    while (!stopped_ && caller.status.ok()) {
      caller.status = client_->Score(request_, kPatience).status();
      if (caller.status.ok()) ++caller.answered;
    }
  }

  std::unique_ptr<Client> client_;
  v1::ScoreRequest request_;
  std::atomic<bool> stopped_{false};
  std::vector<Caller> callers_;
};

class QkserveDrainTest : public QkserveProgramTest {
 protected:
  // Waits until a call of every caller is in flight. Returns how many calls each caller had
  // answered before.
  std::vector<int64_t> AwaitAllInFlight(const Callers& callers) const {
    std::vector<int64_t> seen;
    EXPECT_TRUE(Eventually([&] {
      const std::vector<int64_t> answered = callers.Answered();
      const absl::StatusOr<v1::GetStatusResponse> status = client_->GetStatus();
      const bool all_in_flight =
          status.ok() && status->in_flight_requests() == static_cast<int64_t>(answered.size());
      // The server counts a call from shortly before it is accepted until shortly after it is
      // answered. If the same calls are seen twice in a row, they have been accepted.
      const bool again = all_in_flight && answered == seen;
      seen = all_in_flight ? answered : std::vector<int64_t>();
      return again;
    }));
    return seen;
  }

  static void ExpectNothingLost(const Callers& callers, const std::vector<int64_t>& before) {
    const std::vector<int64_t> answered = callers.Answered();
    ASSERT_EQ(answered.size(), before.size());
    for (size_t i = 0; i < answered.size(); ++i) {
      const absl::Status& status = callers.LastStatus(i);
      EXPECT_TRUE(status.ok() || absl::IsUnavailable(status)) << status;
      EXPECT_GT(answered[i], before[i]) << "the call in flight: " << status;
    }
  }
};

TEST_F(QkserveDrainTest, SigtermLetsWhatIsInFlightFinish) {
  // There is only one worker, so that most of the work is left when the grace is over and
  // connections close.
  ASSERT_NO_FATAL_FAILURE(Start({"--workers=1"}));
  Callers callers(address_, 6);
  const std::vector<int64_t> before = AwaitAllInFlight(callers);
  callers.Stop();
  server_->Signal(SIGTERM);
  callers.Join();
  ExpectEndsWithCodeZero();
  ExpectNothingLost(callers, before);
}

TEST_F(QkserveDrainTest, CallsDuringADrainAreAnsweredOrTurnedAway) {
  ASSERT_NO_FATAL_FAILURE(Start());
  Callers callers(address_, 3);
  const std::vector<int64_t> before = AwaitAllInFlight(callers);
  server_->Signal(SIGTERM);
  callers.Join();
  ExpectEndsWithCodeZero();
  ExpectNothingLost(callers, before);
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_TRUE(absl::IsUnavailable(callers.LastStatus(i))) << callers.LastStatus(i);
  }
}

// A terminal that closes sends its processes several hangups.
TEST_F(QkserveProgramTest, FurtherHangupsDoNotEndADrain) {
  ASSERT_NO_FATAL_FAILURE(Start({"--drain_grace=1h"}));
  const auto is_draining = [this] {
    return absl::StrContains(ServerErrors(), "signal 1: draining");
  };
  server_->Signal(SIGHUP);
  ASSERT_TRUE(Eventually(is_draining));
  server_->Signal(SIGHUP);
  EXPECT_EQ(Qkserve({absl::StrCat("--check=", address_)}).exit_code, 1);
  EXPECT_FALSE(server_->Ended());
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), -SIGTERM);
}

// --- The kernel ---------------------------------------------------------------------------------

// OpenBLAS chooses this kernel on a CPU that it does not know.
constexpr char kSlowKernel[] = "OPENBLAS_CORETYPE=Prescott";

TEST_F(QkserveProgramTest, ReplacesASlowKernelByAModernOne) {
  if (!DetectCpuFeatures().avx2_fma) GTEST_SKIP() << "the CPU lacks AVX2";
  ASSERT_NO_FATAL_FAILURE(Start({"--kernel=auto"}, {kSlowKernel}));
  const absl::StatusOr<v1::GetStatusResponse> status = client_->GetStatus();
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_NE(status->kernel(), "");
  EXPECT_NE(status->kernel(), "Prescott");
}

TEST_F(QkserveProgramTest, StatusAndReceiptsNameTheKernelThatWasAskedFor) {
  if (!DetectCpuFeatures().avx2_fma) GTEST_SKIP() << "the CPU lacks AVX2";
  ASSERT_NO_FATAL_FAILURE(Start({"--kernel=Haswell"}, {kSlowKernel}));
  const absl::StatusOr<v1::GetStatusResponse> status = client_->GetStatus();
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->kernel(), "Haswell");

  const float elements[] = {1.0f, 2.0f};
  const TensorView row = {DataType::kFloat32, {1, 2}, reinterpret_cast<const std::byte*>(elements)};
  const absl::StatusOr<ScoreResult> result = client_->Score(row, row);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->receipt.kernel, "Haswell");
}

#if defined(__x86_64__)
// Highway's names of instruction sets differ from OpenBLAS's names of kernels.
TEST_F(QkserveProgramTest, AKernelThatIsAskedForHoldsForKeySetsToo) {
  const auto expect = [this](absl::string_view kernel, absl::string_view key_set_kernel) {
    SCOPED_TRACE(kernel);
    ASSERT_NO_FATAL_FAILURE(Start({absl::StrCat("--kernel=", kernel)}));
    const absl::StatusOr<v1::GetStatusResponse> status = client_->GetStatus();
    ASSERT_TRUE(status.ok()) << status.status();
    EXPECT_EQ(status->kernel(), kernel);
    EXPECT_EQ(status->key_set_kernel(), key_set_kernel);

    const float elements[] = {1.0f, 2.0f};
    const TensorView row = {
        DataType::kFloat32, {1, 2}, reinterpret_cast<const std::byte*>(elements)};
    ASSERT_TRUE(client_->PutKeySet("items", row).ok());
    const absl::StatusOr<ScoreResult> result = client_->Score(row, KeySetReference{"items"});
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->receipt.kernel, key_set_kernel);
    float score = 0;
    std::memcpy(&score, result->result.data.data(), sizeof score);
    EXPECT_EQ(score, 5.0f);
  };
  if (!DetectCpuFeatures().avx2_fma) GTEST_SKIP() << "the CPU lacks AVX2";
  expect("Haswell", "AVX2");
  expect("Nehalem", "SSE4");
}
#endif

TEST_F(QkserveProgramTest, AnUnknownKernelIsWrongUsage) {
  ExpectWrongUsage({"--listen_address=127.0.0.1:0", "--kernel=NoSuch"}, "kernel: got NoSuch");
}

TEST_F(QkserveProgramTest, KeepsItsNameWhenItReplacesItselfToLoadAKernel) {
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_EQ(ProcessName(), "qkserve\n");
  // On a CPU with AVX2, at least one of this test's two servers has executed itself again.
  ASSERT_NO_FATAL_FAILURE(Start({}, {kSlowKernel}));
  EXPECT_EQ(ProcessName(), "qkserve\n");
}

}  // namespace
}  // namespace qkserve
