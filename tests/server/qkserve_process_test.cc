// The program as a process: standard streams, signals, threads.

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/file_descriptor.h"
#include "core/kernels/blas_kernel.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "qkserve/client.h"
#include "qkserve/tensor.h"
#include "tests/server/http2_peer.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

// A named pipe of one page.
class Fifo {
 public:
  explicit Fifo(std::string path) : path_(std::move(path)) {
    EXPECT_EQ(mkfifo(path_.c_str(), 0600), 0);
    Open();
  }
  Fifo(const Fifo&) = delete;
  Fifo& operator=(const Fifo&) = delete;
  ~Fifo() { Close(); }

  const std::string& path() const { return path_; }

  // Opens the pipe for reading. Only Read takes data from it.
  void Open() {
    reader_ = open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    EXPECT_GE(reader_, 0);
    EXPECT_GT(fcntl(reader_, F_SETPIPE_SZ, 4096), 0);
  }
  void Close() {
    if (reader_ >= 0) close(std::exchange(reader_, -1));
  }

  // Reads all that is in the pipe. Returns all that was read so far.
  const std::string& Read() {
    char buffer[4096];
    ssize_t size = 0;
    while ((size = read(reader_, buffer, sizeof(buffer))) > 0) {
      text_.append(buffer, static_cast<size_t>(size));
    }
    return text_;
  }

 private:
  const std::string path_;
  int reader_ = -1;
  std::string text_;
};

class QkserveProcessTest : public testing::Test {
 protected:
  std::string Path(absl::string_view name) const { return directory_.Path(name); }
  std::string ErrPath() const { return Path("err"); }

  // Runs `prefix` followed by the server's command. Returns when the server listens.
  void Start(std::vector<std::string> prefix, std::vector<std::string> args,
             const std::string& out_path, const std::string& err_path,
             std::vector<std::string> environment = {}) {
    std::vector<std::string> command = std::move(prefix);
    command.insert(command.end(), {QKSERVE_PROGRAM, "--listen_address=127.0.0.1:0",
                                   "--http_address=", absl::StrCat("--port_file=", Path("port"))});
    command.insert(command.end(), args.begin(), args.end());
    std::filesystem::remove(Path("port"));
    server_.emplace(std::move(command), out_path, err_path, std::move(environment));
    ASSERT_TRUE(Eventually([this] { return server_->Ended() || ReadFile(Path("port")) != ""; }));
    ASSERT_FALSE(server_->Ended()) << ReadFile(err_path);
    const std::string port = ReadFile(Path("port"));
    address_ = absl::StrCat("127.0.0.1:", absl::StripSuffix(port, "\n"));
    client_ = Client::Create({.address = address_}).value();
  }

  int Port() const {
    int port = 0;
    EXPECT_TRUE(absl::SimpleAtoi(address_.substr(address_.rfind(':') + 1), &port));
    return port;
  }

  // Puts key sets. Each put writes a line to the log.
  void PutKeySets(int count) {
    const float element = 1;
    const TensorView key = {
        DataType::kFloat32, {1, 1}, reinterpret_cast<const std::byte*>(&element)};
    for (int i = 0; i < count; ++i) {
      const auto put = client_->PutKeySet("a", key);
      ASSERT_TRUE(put.ok()) << put.status();
    }
  }

  const TemporaryDirectory directory_{"qkserve_process_test"};
  std::optional<Process> server_;
  std::string address_;
  std::unique_ptr<Client> client_;
};

// More lines than fit in a pipe of one page.
constexpr int kManyLines = 100;

TEST_F(QkserveProcessTest, AReaderOfTheLogThatStopsHoldsUpNeitherCallsNorTheEnd) {
  Fifo log(Path("log"));
  ASSERT_NO_FATAL_FAILURE(Start({}, {}, Path("out"), log.path()));
  ASSERT_NO_FATAL_FAILURE(PutKeySets(kManyLines));
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), 0);
  EXPECT_FALSE(absl::StrContains(log.Read(), "drained"));
}

TEST_F(QkserveProcessTest, AReaderOfTheLogThatGoesOnGetsEveryLine) {
  Fifo log(Path("log"));
  ASSERT_NO_FATAL_FAILURE(Start({}, {}, Path("out"), log.path()));
  ASSERT_NO_FATAL_FAILURE(PutKeySets(kManyLines));
  server_->Signal(SIGTERM);
  ASSERT_TRUE(Eventually([&] { return absl::StrContains(log.Read(), "drained\n"); }));
  EXPECT_EQ(server_->Wait(), 0);
  const std::vector<std::string> parts = absl::StrSplit(log.Read(), "key set put");
  EXPECT_EQ(parts.size(), kManyLines + 1);
}

TEST_F(QkserveProcessTest, GoesOnWithoutAReaderOfTheLogAndTellsTheNextOneWhatItMissed) {
  Fifo log(Path("log"));
  ASSERT_NO_FATAL_FAILURE(Start({}, {"--log_format=json"}, Path("out"), log.path()));
  ASSERT_TRUE(Eventually([&] { return absl::StrContains(log.Read(), "\"listening\""); }));
  log.Close();
  ASSERT_NO_FATAL_FAILURE(PutKeySets(3));
  log.Open();
  server_->Signal(SIGTERM);
  EXPECT_TRUE(Eventually([&] { return absl::StrContains(log.Read(), "\"drained\""); }));
  EXPECT_EQ(server_->Wait(), 0);
  const std::string text = log.Read();
  EXPECT_TRUE(absl::StrContains(text, "\"dropped\":")) << text;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    EXPECT_TRUE(nlohmann::json::accept(line.begin(), line.end())) << line;
  }
}

TEST_F(QkserveProcessTest, ServesWithTheLogOnAFullDiskAndWritesItAgainWhereThereIsRoom) {
  // A limit of one block on the file's size has the same effect as a full disk.
  ASSERT_NO_FATAL_FAILURE(Start({"/bin/sh", "-c", "ulimit -S -f 1 && exec \"$0\" \"$@\""},
                                {"--log_format=json"}, Path("out"), ErrPath()));
  ASSERT_NO_FATAL_FAILURE(PutKeySets(20));
  rlimit size = {};
  ASSERT_EQ(prlimit(server_->pid(), RLIMIT_FSIZE, nullptr, &size), 0);
  size.rlim_cur = size.rlim_max;
  ASSERT_EQ(prlimit(server_->pid(), RLIMIT_FSIZE, &size, nullptr), 0);
  ASSERT_NO_FATAL_FAILURE(PutKeySets(1));
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), 0);
  const std::string log = ReadFile(ErrPath());
  EXPECT_TRUE(absl::StrContains(log, "\"dropped\":")) << log;
  EXPECT_TRUE(absl::StrContains(log, "\"drained\"")) << log;
  for (const absl::string_view line : absl::StrSplit(log, '\n', absl::SkipEmpty())) {
    EXPECT_TRUE(nlohmann::json::accept(line.begin(), line.end())) << line;
  }
}

TEST_F(QkserveProcessTest, AReaderOfStandardOutputThatGoesOrStopsDoesNotMatter) {
  Fifo out(Path("fifo"));
  // The pipe is full when the server prints its address.
  const int filler = open(out.path().c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_EQ(write(filler, std::string(4096, 'x').data(), 4096), 4096);
  ASSERT_NO_FATAL_FAILURE(Start({}, {}, out.path(), ErrPath()));
  EXPECT_TRUE(client_->GetStatus().ok());
  close(filler);
  // The reader closes the pipe, so writes that wait for it fail.
  out.Close();
  EXPECT_TRUE(client_->GetStatus().ok());
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), 0) << ReadFile(ErrPath());
}

TEST_F(QkserveProcessTest, StandardStreamsThatAreClosedNeverBecomeFilesOrSockets) {
  for (const absl::string_view closed : {"<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"}) {
    ASSERT_NO_FATAL_FAILURE(Start({"/bin/sh", "-c", absl::StrCat("exec \"$0\" \"$@\" ", closed)},
                                  {absl::StrCat("--key_set_dir=", Path("sets"))}, Path("out"),
                                  ErrPath()));
    for (const int stream : {0, 1, 2}) {
      const std::string file =
          std::filesystem::read_symlink(absl::StrCat("/proc/", server_->pid(), "/fd/", stream));
      std::error_code error;
      EXPECT_TRUE(file == "/dev/null" || std::filesystem::equivalent(file, Path("out"), error) ||
                  std::filesystem::equivalent(file, ErrPath(), error))
          << closed << ": " << stream << " is " << file;
    }
    ASSERT_NO_FATAL_FAILURE(PutKeySets(1));
    server_->Signal(SIGTERM);
    EXPECT_EQ(server_->Wait(), 0) << closed << ReadFile(ErrPath());
  }
}

// A socket plays systemd's socket, and a pipe plays the journal.
TEST_F(QkserveProcessTest, TellsItsServiceManagerWhenItIsReadyAndWhenItStops) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  Path("notify").copy(address.sun_path, sizeof(address.sun_path) - 1);
  const FileDescriptor manager(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  ASSERT_EQ(bind(manager.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  std::vector<std::string> told;
  const auto is_told = [&](absl::string_view state) {
    char bytes[256];
    ssize_t size = 0;
    while ((size = recv(manager.get(), bytes, sizeof(bytes), 0)) > 0) {
      told.emplace_back(bytes, static_cast<size_t>(size));
    }
    return !told.empty() && absl::StartsWith(told.back(), state);
  };
  ASSERT_NO_FATAL_FAILURE(
      Start({}, {}, Path("out"), ErrPath(), {absl::StrCat("NOTIFY_SOCKET=", Path("notify"))}));
  EXPECT_TRUE(Eventually([&] { return is_told("READY=1"); }));
  ASSERT_EQ(told.size(), 2);
  EXPECT_EQ(told[0], "STATUS=loading key sets");
  EXPECT_EQ(told[1], absl::StrCat("READY=1\nSTATUS=listening on ", address_));
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), 0);
  EXPECT_TRUE(is_told("STOPPING=1"));
  EXPECT_EQ(told.back(), "STOPPING=1\nSTATUS=draining");
}

TEST_F(QkserveProcessTest, ItsJournalGetsPrioritiesAndEachLineOnce) {
  Fifo log(Path("log"));
  struct stat stream = {};
  ASSERT_EQ(stat(log.path().c_str(), &stream), 0);
  const std::string journal = absl::StrCat("JOURNAL_STREAM=", stream.st_dev, ":", stream.st_ino);
  ASSERT_NO_FATAL_FAILURE(Start({}, {}, Path("out"), log.path(), {journal}));
  server_->Signal(SIGTERM);
  EXPECT_TRUE(Eventually([&] { return absl::StrContains(log.Read(), "<6>drained\n"); }));
  EXPECT_EQ(server_->Wait(), 0);
  EXPECT_TRUE(absl::StrContains(log.Read(), absl::StrCat("<6>listening address=", address_, "\n")))
      << log.Read();
  for (const absl::string_view line : absl::StrSplit(log.Read(), '\n', absl::SkipEmpty())) {
    EXPECT_TRUE(absl::StartsWith(line, "<")) << line;
  }
  EXPECT_EQ(ReadFile(Path("out")), "");

  Process wrong({QKSERVE_PROGRAM, "--workers=-1"}, Path("out"), log.path(), {journal});
  EXPECT_EQ(wrong.Wait(), 2);
  EXPECT_TRUE(absl::EndsWith(log.Read(),
                             "<3>--workers must be from 0 to 1024; was -1 code=INVALID_ARGUMENT\n"))
      << log.Read();
  // The flag overrides the format that lines in the journal have by default.
  Process text({QKSERVE_PROGRAM, "--workers=-1", "--log_format=text"}, Path("out"), log.path(),
               {journal});
  EXPECT_EQ(text.Wait(), 2);
  EXPECT_TRUE(absl::StrContains(log.Read(), "\nerror: --workers must be from")) << log.Read();
}

TEST_F(QkserveProcessTest, FailedCallsAreLoggedOnRequest) {
  ASSERT_NO_FATAL_FAILURE(Start({}, {"--log_requests=errors"}, Path("out"), ErrPath()));
  EXPECT_FALSE(client_->GetKeySet("absent").ok());
  const float element = 1;
  const TensorView row = {DataType::kFloat32, {1, 1}, reinterpret_cast<const std::byte*>(&element)};
  EXPECT_FALSE(client_->Score(row, KeySetReference{"absent"}).ok());
  EXPECT_TRUE(client_->Score(row, row).ok());
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), 0);
  const std::string log = ReadFile(ErrPath());
  EXPECT_TRUE(absl::StrContains(log, "info failed request method=GetKeySet code=NOT_FOUND")) << log;
  EXPECT_TRUE(absl::StrContains(log, "info failed request method=Score code=NOT_FOUND")) << log;
  EXPECT_FALSE(absl::StrContains(log, "code=OK")) << log;

  ASSERT_NO_FATAL_FAILURE(Start({}, {}, Path("out"), ErrPath()));
  EXPECT_FALSE(client_->GetKeySet("absent").ok());
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), 0);
  EXPECT_FALSE(absl::StrContains(ReadFile(ErrPath()), "failed request")) << ReadFile(ErrPath());
}

TEST_F(QkserveProcessTest, QkctlFailsWhereItsStandardOutputIsClosed) {
  ASSERT_NO_FATAL_FAILURE(Start({}, {}, Path("server_out"), Path("server_err")));
  ASSERT_NO_FATAL_FAILURE(PutKeySets(1));
  const Outcome outcome = RunCommand({"/bin/sh", "-c", "exec \"$0\" \"$@\" >&-", QKCTL_PROGRAM,
                                      "keys", "list", absl::StrCat("--server=", address_)},
                                     directory_);
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(outcome.err, "standard output: cannot write")) << outcome.err;
}

// The process ends by the signal itself, so that supervisors and shells see which one it was.
TEST_F(QkserveProcessTest, ASecondSignalEndsADrainAtOnce) {
  for (const auto& [first, second] : {std::pair(SIGTERM, SIGTERM), std::pair(SIGINT, SIGINT),
                                      std::pair(SIGTERM, SIGINT), std::pair(SIGHUP, SIGINT)}) {
    ASSERT_NO_FATAL_FAILURE(Start({}, {"--drain_grace=1h"}, Path("out"), ErrPath()));
    server_->Signal(first);
    ASSERT_TRUE(Eventually([&] { return absl::StrContains(ReadFile(ErrPath()), "draining"); }));
    server_->Signal(second);
    EXPECT_EQ(server_->Wait(), -second);
  }
}

// For process one, the kernel ignores signals that have no handler.
TEST_F(QkserveProcessTest, ASecondSignalEndsADrainAtOnceAsProcessOneOfAContainer) {
  const std::vector<std::string> unshare = {
      "/usr/bin/unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"};
  std::vector<std::string> probe = unshare;
  probe.emplace_back("/bin/true");
  if (!std::filesystem::exists(unshare.front()) || RunCommand(probe, directory_).exit_code != 0) {
    GTEST_SKIP() << "no namespaces of processes here";
  }
  for (const auto& [signal, exit_code] : {std::pair(SIGTERM, 143), std::pair(SIGINT, 130)}) {
    ASSERT_NO_FATAL_FAILURE(Start(unshare, {"--drain_grace=1h"}, Path("out"), ErrPath()));
    const std::string children =
        ReadFile(absl::StrCat("/proc/", server_->pid(), "/task/", server_->pid(), "/children"));
    const pid_t inside = std::stoi(children);
    ASSERT_EQ(kill(inside, signal), 0);
    ASSERT_TRUE(Eventually([&] { return absl::StrContains(ReadFile(ErrPath()), "draining"); }));
    ASSERT_EQ(kill(inside, signal), 0);
    EXPECT_EQ(server_->Wait(), exit_code);
  }
}

// Each flag is empty, as if a script had used a shell variable that is not set.
TEST_F(QkserveProcessTest, AFlagWithoutItsValueIsWrongUsageUnlessEmptyHasAMeaning) {
  for (const absl::string_view flag :
       {"listen_address", "port_file", "http_port_file", "kernel", "workers", "log_format"}) {
    const Outcome outcome =
        RunCommand({QKSERVE_PROGRAM, absl::StrCat("--", flag, "=")}, directory_);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_TRUE(absl::StartsWith(outcome.err,
                                 absl::StrCat("error: --", flag, ": got '', expected a value")))
        << outcome.err;
  }
  for (const absl::string_view flag :
       {"server", "out", "queries", "key_set", "scale", "tls_ca_file"}) {
    const Outcome outcome =
        RunCommand({QKCTL_PROGRAM, "score", absl::StrCat("--", flag, "=")}, directory_);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_TRUE(absl::StartsWith(outcome.err,
                                 absl::StrCat("error: --", flag, ": got '', expected a value")))
        << outcome.err;
  }
  ASSERT_NO_FATAL_FAILURE(Start({}, {"--http_address=", "--key_set_dir="}, Path("out"), ErrPath()));
}

// The warning about the kernel comes before all other lines.
TEST_F(QkserveProcessTest, TheWarningAboutASlowKernelIsALineOfTheLog) {
  if (!DetectCpuFeatures().avx2_fma) GTEST_SKIP() << "the CPU lacks AVX2";
  // The environment of a process that has executed itself again, but without success.
  ASSERT_NO_FATAL_FAILURE(Start({}, {"--log_format=json"}, Path("out"), ErrPath(),
                                {"OPENBLAS_CORETYPE=Prescott", "QKSERVE_KERNEL_ATTEMPT=SkylakeX"}));
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), 0);
  const std::string log = ReadFile(ErrPath());
  EXPECT_TRUE(absl::StrContains(log, "which may be slow")) << log;
  for (const absl::string_view line : absl::StrSplit(log, '\n', absl::SkipEmpty())) {
    EXPECT_TRUE(nlohmann::json::accept(line.begin(), line.end())) << line;
  }
}

TEST_F(QkserveProcessTest, WithoutDescriptorsConnectionsAreClosedAndLaterAcceptedAgain) {
  ASSERT_NO_FATAL_FAILURE(Start({}, {}, Path("out"), ErrPath()));
  ASSERT_TRUE(client_->GetStatus().ok());
  const std::filesystem::directory_iterator open_files(
      absl::StrCat("/proc/", server_->pid(), "/fd"));
  const auto files = std::distance(begin(open_files), end(open_files));
  rlimit limit = {};
  ASSERT_EQ(prlimit(server_->pid(), RLIMIT_NOFILE, nullptr, &limit), 0);
  limit.rlim_cur = static_cast<rlim_t>(files) + 5;
  ASSERT_EQ(prlimit(server_->pid(), RLIMIT_NOFILE, &limit, nullptr), 0);
  const int port = Port();
  {
    std::vector<std::unique_ptr<Http2Peer>> peers;
    for (int i = 0; i < 20; ++i) peers.push_back(std::make_unique<Http2Peer>(port));
    EXPECT_FALSE(peers.back()->IsServed());
    EXPECT_TRUE(client_->GetStatus().ok());
    EXPECT_TRUE(Eventually([&] {
      return absl::StrContains(ReadFile(ErrPath()), "connection refused: Too many open files");
    }));
  }
  EXPECT_TRUE(Eventually([&] { return Http2Peer(port).IsServed(); }));
}

TEST_F(QkserveProcessTest, AReplyIsReadWholeAfterSigterm) {
  ASSERT_NO_FATAL_FAILURE(Start({}, {}, Path("out"), ErrPath()));
  Http2Peer peer(Port(), "", 64 << 10);
  const std::vector<float> column(1000, 1);
  const v1::ScoreRequest request =
      MakeScoreRequest(Matrix(column, 1000, 1), Matrix(column, 1000, 1), {});
  peer.SendCall(1, "/qkserve.v1.ScoringService/Score", request.SerializeAsString());
  ASSERT_TRUE(Eventually([&] {
    const auto status = client_->GetStatus();
    return status.ok() && status->requests_answered() > 0;
  }));
  client_ = nullptr;  // a drain would await this idle client, too
  server_->Signal(SIGTERM);
  // A process that did not wait would end during these pauses.
  EXPECT_GT(peer.ReadReplyAfterGoaway(1, absl::Milliseconds(5)).size(), 4'000'000);
  EXPECT_EQ(server_->Wait(), 0) << ReadFile(ErrPath());
}

// No thread can get a stack of a petabyte. OpenBLAS is loaded before main, and must start no thread
// (OPENBLAS_NUM_THREADS).
TEST_F(QkserveProcessTest, TooFewThreadsAreAnErrorThatSaysSo) {
  const std::string limited = "ulimit -S -s 1099511627776 && exec \"$0\" \"$@\"";
  if (RunCommand({"/bin/sh", "-c", limited, "/bin/true"}, directory_).exit_code != 0) {
    GTEST_SKIP() << "stacks are limited here";
  }
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{QKSERVE_PROGRAM, "--listen_address=127.0.0.1:0",
                                 "--http_address=127.0.0.1:0"},
        {QKSERVE_PROGRAM, "--check=127.0.0.1:1"},
        {QKCTL_PROGRAM, "status", "--server=127.0.0.1:1"}}) {
    std::vector<std::string> all = {"/bin/sh", "-c",
                                    absl::StrCat("export OPENBLAS_NUM_THREADS=1; ", limited)};
    all.insert(all.end(), command.begin(), command.end());
    const Outcome outcome = RunCommand(all, directory_);
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_TRUE(absl::StrContains(outcome.err, "error: RESOURCE_EXHAUSTED: threads: got 0 of the "))
        << outcome.err;
  }
}

}  // namespace
}  // namespace qkserve
