// Key sets in qkctl, as a user of a shell sees them. The services are fakes.

#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "formats/tensor_file.h"
#include "gtest/gtest.h"
#include "tests/support/fake_server.h"
#include "tests/support/process.h"
#include "tools/qkctl/output/tensor_output.h"

namespace qkserve {
namespace {

class QkctlKeysTest : public testing::Test {
 protected:
  std::string Path(absl::string_view name) const { return directory_.Path(name); }

  std::string Server() const { return absl::StrCat("--server=", server_.address()); }

  Outcome Qkctl(std::vector<std::string> args) const {
    args.insert(args.begin(), QKCTL_PROGRAM);
    args.push_back(Server());
    return RunCommand(std::move(args), directory_);
  }

  // Returns the flag for a new file of 0, 1, 2, ...
  std::string File(absl::string_view flag, absl::string_view name, Shape shape) const {
    std::vector<float> elements(ElementCount(shape).value());
    std::iota(elements.begin(), elements.end(), 0.0f);
    EXPECT_TRUE(WriteTensorFile(Path(name), "t",
                                {DataType::kFloat32, std::move(shape),
                                 reinterpret_cast<const std::byte*>(elements.data())})
                    .ok());
    return absl::StrCat("--", flag, "=", Path(name));
  }

  void ExpectOk(const Outcome& outcome, absl::string_view out) const {
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    EXPECT_TRUE(absl::StrContains(outcome.out, out)) << outcome.out;
  }

  void ExpectFailure(const Outcome& outcome, absl::string_view message) const {
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_EQ(outcome.out, "");
    EXPECT_TRUE(absl::StartsWith(outcome.err, "error: ")) << outcome.err;
    EXPECT_TRUE(absl::StrContains(outcome.err, message)) << outcome.err;
  }

  FakeServer server_;
  const TemporaryDirectory directory_{"qkctl_keys_test"};
};

TEST_F(QkctlKeysTest, PutsWhatTheFilesHold) {
  ExpectOk(Qkctl({"keys", "put", "items", File("keys", "k.npy", {1000, 3}),
                  File("values", "v.safetensors", {1000, 2}), "--storage=bfloat16"}),
           "items        1  [1000, 3]  [.., 2]  BFLOAT16, FLOAT32");
  const auto stored = server_.key_sets().Find("items");
  ASSERT_TRUE(stored.has_value());
  const std::string k = ReadFile(Path("k.npy")), v = ReadFile(Path("v.safetensors"));
  EXPECT_EQ(stored->keys, k.substr(k.size() - 12'000));
  EXPECT_EQ(stored->values, v.substr(v.size() - 8000));
}

TEST_F(QkctlKeysTest, ChunksFitTheMessageLimit) {
  ExpectOk(
      Qkctl({"keys", "put", "items", File("keys", "k.npy", {1000, 3}), "--message_bytes_max=1000"}),
      "[1000, 3]");
  EXPECT_LE(server_.key_sets().chunk_bytes_max(), 1000u);
}

TEST_F(QkctlKeysTest, AppendsToTheNewestVersionOrTheOneThatIsNamed) {
  const std::string keys = File("keys", "k.npy", {2, 3});
  ExpectFailure(Qkctl({"keys", "append", "items", keys}), "NOT_FOUND: ");
  ExpectOk(Qkctl({"keys", "put", "items", keys}), "[2, 3]");
  ExpectOk(Qkctl({"keys", "append", "items", keys}), "items        2  [4, 3]");
  ExpectOk(Qkctl({"keys", "append", "items", keys, "--expected_version=2"}), "[6, 3]");
  ExpectFailure(Qkctl({"keys", "append", "items", keys, "--expected_version=2"}),
                "FAILED_PRECONDITION: expected_version is 2; the key set is at 3\n");
}

TEST_F(QkctlKeysTest, ABrokenUploadSaysThatTheOldVersionIsStillThere) {
  const std::string keys = File("keys", "k.npy", {100'000, 10});
  server_.key_sets().FailUploadsAfter(
      1'500'000, grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "key sets are full"));
  ExpectFailure(Qkctl({"keys", "put", "items", keys}),
                "RESOURCE_EXHAUSTED: key sets are full (there is no key set 'items')\n");
  const std::string few = File("keys", "few.npy", {1, 10});
  ExpectOk(Qkctl({"keys", "put", "items", few}), "items        1");
  for (const char* command : {"put", "append"}) {
    ExpectFailure(Qkctl({"keys", command, "items", keys}),
                  "key sets are full ('items' is still at version 1)\n");
  }
}

TEST_F(QkctlKeysTest, FilesThatCannotBeUsedAreNamedAndNothingIsSent) {
  ExpectFailure(Qkctl({"keys", "put", "items", absl::StrCat("--keys=", Path("absent.npy"))}),
                absl::StrCat("NOT_FOUND: --keys: ", Path("absent.npy")));
  std::ofstream(Path("text.safetensors")) << "some text that is no header";
  ExpectFailure(Qkctl({"keys", "put", "items", File("keys", "k.npy", {1, 2}),
                       absl::StrCat("--values=", Path("text.safetensors"))}),
                absl::StrCat("INVALID_ARGUMENT: --values: ", Path("text.safetensors"), ": "));
  EXPECT_TRUE(server_.key_sets().metadata().empty());
}

// An error after a put that succeeded would mislead a script.
TEST_F(QkctlKeysTest, NothingIsPutIfTheAnswerCannotBeWritten) {
  const std::string keys = File("keys", "k.npy", {2, 3});
  ExpectFailure(Qkctl({"keys", "put", "items", keys, "--json=/nowhere/answer.json"}),
                "NOT_FOUND: /nowhere/answer.json: cannot create");
  EXPECT_FALSE(server_.key_sets().Find("items").has_value());
  EXPECT_TRUE(server_.key_sets().metadata().empty());
}

TEST_F(QkctlKeysTest, AnAnswerThatIsLostSaysWhatWasDone) {
  const std::string keys = File("keys", "k.npy", {2, 3});
  const auto to_full_disk = [this](const std::string& args) {
    return RunCommand(
        {"/bin/bash", "-c", absl::StrCat(QKCTL_PROGRAM, " ", args, " ", Server(), " >/dev/full")},
        directory_);
  };
  ExpectFailure(
      to_full_disk(absl::StrCat("keys put items ", keys)),
      "standard output: cannot write: No space left on device ('items' is at version 1)\n");
  ExpectFailure(
      to_full_disk(absl::StrCat("keys append items --json ", keys)),
      "standard output: cannot write: No space left on device ('items' is at version 2)\n");
  // The file is written even if standard output fails.
  ExpectFailure(to_full_disk(absl::StrCat("keys get items --json=", Path("items.json"))),
                "standard output: cannot write: No space");
  EXPECT_TRUE(nlohmann::json::accept(ReadFile(Path("items.json"))));
  ExpectFailure(to_full_disk("keys list"), "standard output: cannot write: No space");
  ExpectFailure(to_full_disk("keys delete items"), "('items' is deleted)\n");
  EXPECT_FALSE(server_.key_sets().Find("items").has_value());
}

TEST_F(QkctlKeysTest, ANameMayLookLikeAFlag) {
  const std::string keys = File("keys", "k.npy", {2, 3});
  const auto with_name = [&](std::vector<std::string> args) {
    args.insert(args.begin(), {QKCTL_PROGRAM, "keys"});
    args.insert(args.end(), {Server(), "--", "-x"});
    return RunCommand(std::move(args), directory_);
  };
  ExpectOk(with_name({"put", keys}), "-x ");
  ExpectOk(with_name({"get"}), "-x ");
  ExpectOk(with_name({"delete"}), "deleted -x\n");
  EXPECT_FALSE(server_.key_sets().Find("-x").has_value());
}

TEST_F(QkctlKeysTest, ShowsAndListsAndDeletes) {
  ExpectOk(Qkctl({"keys", "list"}), "no key sets\n");
  ExpectFailure(Qkctl({"keys", "get", "b"}), "NOT_FOUND: ");
  ExpectFailure(Qkctl({"keys", "delete", "b"}), "NOT_FOUND: ");
  for (const char* name : {"b", "a"}) {
    ExpectOk(Qkctl({"keys", "put", name, File("keys", "k.npy", {2, 3})}), name);
  }
  const Outcome list = Qkctl({"keys", "list"});
  ExpectOk(list, "REQUESTS\na           2  [2, 3]  FLOAT32    24 B         0\nb  ");
  ExpectOk(Qkctl({"keys", "get", "b"}), "\nb           1  [2, 3]");

  const auto got = nlohmann::json::parse(Qkctl({"keys", "get", "b", "--json"}).out, nullptr, false);
  ASSERT_TRUE(got.is_object());
  EXPECT_EQ(got.at("version"), 1);
  EXPECT_EQ(got.at("keys").at("shape"), (std::vector<int>{2, 3}));
  const auto listed = nlohmann::json::parse(Qkctl({"keys", "list", "--json"}).out, nullptr, false);
  ASSERT_TRUE(listed.is_object());
  EXPECT_EQ(listed.at("key_sets").size(), 2u);

  ExpectOk(Qkctl({"keys", "delete", "b"}), "deleted b\n");
  EXPECT_FALSE(server_.key_sets().Find("b").has_value());
}

TEST_F(QkctlKeysTest, ScoresAgainstAKeySet) {
  ExpectOk(Qkctl({"keys", "put", "items", File("keys", "k.npy", {3, 2})}), "items");
  const std::string queries = File("queries", "q.npy", {1, 2});
  const Outcome outcome = Qkctl({"score", queries, "--key_set=items", "--receipt"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "[[1.0 3.0 5.0]]\n");
  EXPECT_TRUE(absl::StrContains(outcome.err, ", version 1 of the key set\n")) << outcome.err;
  ExpectFailure(Qkctl({"score", queries, "--key_set=items", "--key_set_version=2"}),
                "FAILED_PRECONDITION: ");
  ExpectFailure(Qkctl({"score", queries, "--key_set=other"}), "NOT_FOUND: ");
}

// --- Load ---------------------------------------------------------------------------------------

TEST_F(QkctlKeysTest, LoadsAKeySetThatIsThere) {
  ExpectOk(Qkctl({"keys", "put", "items", File("keys", "k.npy", {30, 2})}), "items");
  const Outcome outcome = Qkctl({"load", "--key_set=items", "--n=1", "--duration=50ms",
                                 "--concurrency=2", "--output=top_k", "--top_k=5", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out, nullptr, false);
  ASSERT_TRUE(json.is_object()) << outcome.out;
  EXPECT_EQ(json.at("key_set"), "items");
  EXPECT_EQ(json.at("m"), 30);
  EXPECT_EQ(json.at("d"), 2);
  EXPECT_EQ(json.at("output"), "top_k");
  EXPECT_EQ(json.at("top_k"), 5);
  EXPECT_EQ(json.at("errors"), 0);
  EXPECT_TRUE(server_.key_sets().Find("items").has_value());
}

TEST_F(QkctlKeysTest, LoadMakesAKeySetAndRemovesIt) {
  ExpectOk(Qkctl({"load", "--make_key_set=40,8,4", "--key_set=made", "--n=1", "--duration=50ms"}),
           "n=1 m=40 d=8, key set made, scores;");
  EXPECT_FALSE(server_.key_sets().Find("made").has_value());

  // Key sets are removed even if requests fail.
  const Outcome failed = Qkctl({"load", "--make_key_set=40,8", "--key_set=made", "--n=1",
                                "--duration=50ms", "--timeout=1us"});
  EXPECT_EQ(failed.exit_code, 1) << failed.out;
  EXPECT_FALSE(server_.key_sets().Find("made").has_value());

  ExpectOk(Qkctl({"keys", "put", "items", File("keys", "k.npy", {3, 2})}), "items");
  ExpectFailure(Qkctl({"load", "--make_key_set=4,8", "--key_set=items"}), "ALREADY_EXISTS: ");
  EXPECT_TRUE(server_.key_sets().Find("items").has_value());
}

TEST_F(QkctlKeysTest, AnInterruptedLoadRemovesWhatItMade) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    Process load({QKCTL_PROGRAM, "load", Server(), "--make_key_set=40,8", "--key_set=made",
                  "--duration=1h", "--progress"},
                 Path("out"), Path("err"));
    ASSERT_TRUE(Eventually([this] { return absl::StrContains(ReadFile(Path("err")), "p99 "); }));
    EXPECT_TRUE(server_.key_sets().Find("made").has_value());
    load.Signal(signal);
    EXPECT_EQ(load.Wait(), 0);
    EXPECT_FALSE(server_.key_sets().Find("made").has_value());
  }
}

// --- On a terminal ------------------------------------------------------------------------------

TEST_F(QkctlKeysTest, TerminalsShowProgress) {
  std::vector<std::string> command = {
      QKCTL_PROGRAM, "keys", "put", "items", Server(), File("keys", "k.npy", {1'000'000, 3})};
  const std::vector<char*> argv = Pointers(command);
  std::vector<std::string> environment = {"TERM=xterm"};
  const std::vector<char*> envp = Pointers(environment);
  int terminal = -1;
  const pid_t pid = forkpty(&terminal, nullptr, nullptr, nullptr);
  if (pid == 0) {
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  std::string output;
  char bytes[4096];
  // Reading fails when the other side is closed.
  for (ssize_t count = 0; (count = read(terminal, bytes, sizeof(bytes))) > 0;) {
    output.append(bytes, count);
  }
  close(terminal);
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0) << output;
  EXPECT_TRUE(
      absl::StrContains(output, "\r\x1b[K[####################] 100%  11.4 MiB of 11.4 MiB"))
      << output;
  EXPECT_TRUE(absl::StrContains(output, "\r\x1b[KNAME ")) << output;
}

}  // namespace
}  // namespace qkserve
