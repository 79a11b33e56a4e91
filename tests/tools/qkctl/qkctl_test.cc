// Runs the programs themselves: qkctl as a user of a shell sees it, with a real server.

#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/float16.h"
#include "formats/npy.h"
#include "formats/tensor_file.h"
#include "gtest/gtest.h"
#include "qkserve/version.h"
#include "tests/support/process.h"
#include "tools/qkctl/output/tensor_output.h"

namespace qkserve {
namespace {

constexpr char kPython[] = "/usr/bin/python3";

class QkctlTest : public testing::Test {
 protected:
  std::string Path(absl::string_view name) const { return directory_.Path(name); }

  Outcome Qkctl(std::vector<std::string> args, std::vector<std::string> environment = {}) const {
    args.insert(args.begin(), QKCTL_PROGRAM);
    return RunCommand(std::move(args), directory_, std::move(environment));
  }

  // Runs a line of bash, in which $qkctl is the program.
  Outcome Bash(const std::string& line) const {
    return RunCommand({"/bin/bash", "-c", line}, directory_, {"qkctl=" QKCTL_PROGRAM});
  }

  // Runs a Python script with the test's directory as its argument.
  void Python(const std::string& script) const {
    const Outcome outcome =
        RunCommand({kPython, "-c", absl::StrCat("import sys, numpy\nd = sys.argv[1]\n", script),
                    directory_.path()},
                   directory_);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }

  void ExpectWrongUsage(std::vector<std::string> args, absl::string_view message) const {
    const Outcome outcome = Qkctl(std::move(args));
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_TRUE(absl::StartsWith(outcome.err, "error: ")) << outcome.err;
    EXPECT_TRUE(absl::StrContains(outcome.err, message)) << outcome.err;
    EXPECT_TRUE(absl::StrContains(outcome.err, "--help'.\n")) << outcome.err;
  }

  void ExpectFailure(std::vector<std::string> args, absl::string_view message) const {
    const Outcome outcome = Qkctl(std::move(args));
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_EQ(outcome.out, "");
    EXPECT_TRUE(absl::StartsWith(outcome.err, absl::StrCat("error: ", message))) << outcome.err;
  }

  const TemporaryDirectory directory_{"qkctl_test"};
};

TEST_F(QkctlTest, HelpListsEveryCommandWithAnExample) {
  const Outcome outcome = Qkctl({"--help"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err, "");
  for (const absl::string_view expected :
       {"qkctl score --queries=", "qkctl status --server=", "qkctl keys put items --keys=",
        "qkctl keys list", "qkctl load --concurrency=", "--timeout=1m"}) {
    EXPECT_TRUE(absl::StrContains(outcome.out, expected)) << outcome.out;
  }
  EXPECT_FALSE(absl::StrContains(outcome.out, "--seed=")) << outcome.out;
}

TEST_F(QkctlTest, CommandHelpListsItsOwnFlagsAndTheSharedOnes) {
  const Outcome score = Qkctl({"score", "--help"});
  EXPECT_EQ(score.exit_code, 0);
  for (const absl::string_view flag :
       {"--result_type=float32", "--output=", "--causal=false",
        "--key_lengths=", "--mask=", "--values=", "--softcap=", "--offset=", "--window_left=",
        "--window_right=", "--top_k=", "--indices_out=", "--log_sum_exp_out=", "--heatmap="}) {
    EXPECT_TRUE(absl::StrContains(score.out, absl::StrCat("  ", flag))) << flag << score.out;
  }
  EXPECT_TRUE(absl::StrContains(score.out, "--server=127.0.0.1:50051")) << score.out;
  EXPECT_FALSE(absl::StrContains(score.out, "--concurrency")) << score.out;
  EXPECT_FALSE(absl::StrContains(score.out, "--json")) << score.out;

  const Outcome load = Qkctl({"load", "-h"});
  EXPECT_TRUE(absl::StrContains(load.out, "--concurrency=1 ")) << load.out;
  EXPECT_TRUE(absl::StrContains(load.out, "--json[=FILE]")) << load.out;
}

TEST_F(QkctlTest, KeysAloneListsItsCommands) {
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"keys"}, {"keys", "--help"}, {"keys", "-h"}}) {
    const Outcome outcome = Qkctl(args);
    EXPECT_EQ(outcome.exit_code, 0);
    for (const absl::string_view name :
         {"keys put NAME", "keys append NAME", "keys get NAME", "keys list", "keys delete NAME"}) {
      EXPECT_TRUE(absl::StrContains(outcome.out, absl::StrCat("\n  ", name, "\n"))) << outcome.out;
    }
    EXPECT_FALSE(absl::StrContains(outcome.out, "qkctl load")) << outcome.out;
  }
  for (const char* name : {"put", "append", "get", "list", "delete"}) {
    const Outcome outcome = Qkctl({"keys", name, "--help"});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_TRUE(absl::StartsWith(outcome.out, absl::StrCat("qkctl keys ", name))) << outcome.out;
  }
}

TEST_F(QkctlTest, HelpIsACommandToo) {
  EXPECT_EQ(Qkctl({"help"}).out, Qkctl({"--help"}).out);
  EXPECT_EQ(Qkctl({"help", "keys", "put"}).out, Qkctl({"keys", "put", "--help"}).out);
  EXPECT_EQ(Qkctl({"help", "help"}).out, Qkctl({"--help"}).out);
  ExpectWrongUsage({"help", "compute"}, "unknown command 'compute'");
  ExpectWrongUsage({"help", "score", "put"}, "surplus argument 'put'");
  ExpectWrongUsage({"help", "keys", "put", "items"}, "surplus argument 'items'");
  EXPECT_EQ(Qkctl({"help", "score", "--server=a"}).out, Qkctl({"score", "--help"}).out);
}

TEST_F(QkctlTest, TellsItsVersion) {
  for (const char* word : {"version", "--version"}) {
    EXPECT_EQ(Qkctl({word}).out, absl::StrCat("qkctl ", kVersion, "\n"));
  }
}

TEST_F(QkctlTest, GuessesWhatWasMeant) {
  ExpectWrongUsage({"stats"}, "unknown command 'stats'; did you mean status?");
  ExpectWrongUsage({"keys", "lst"}, "unknown command 'keys lst'; did you mean keys list?");
  ExpectWrongUsage({"score", "--quries=q.npy"}, "unknown flag --quries; did you mean --queries?");
  ExpectWrongUsage({"status", "--sever=a"}, "unknown flag --sever; did you mean --server?");
}

// The mistakes, in order: a value that is no time, a value out of range, no value, a value that is
// no size, and a flag that needs another flag.
TEST_F(QkctlTest, ErrorsNameTheVariableThatTheyComeFrom) {
  for (const auto& [variable, message] :
       {std::pair("QKCTL_TIMEOUT=10", "error: QKCTL_TIMEOUT: got '10': expected a time"),
        {"QKCTL_TIMEOUT=0s", "error: QKCTL_TIMEOUT must be positive; was 0\n"},
        {"QKCTL_SERVER=", "error: QKCTL_SERVER: got '', expected a value"},
        {"QKCTL_MESSAGE_BYTES_MAX=1GiX", "error: QKCTL_MESSAGE_BYTES_MAX: got '1GiX': expected a"},
        {"QKCTL_TLS_CA_FILE=ca.pem", "error: QKCTL_TLS_CA_FILE requires --tls\n"}}) {
    const Outcome outcome = Qkctl({"status"}, {variable});
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_TRUE(absl::StartsWith(outcome.err, message)) << outcome.err;
    // --help works even with a wrong variable.
    EXPECT_EQ(Qkctl({"status", "--help"}, {variable}).exit_code, 0);
  }
}

TEST_F(QkctlTest, CompletesInBash) {
  const Outcome script = Qkctl({"completion", "bash"});
  EXPECT_EQ(script.exit_code, 0);
  EXPECT_TRUE(absl::StrContains(script.out, "complete -F _qkctl qkctl\n"));
  for (const char* shell : {"zsh", "fish"}) EXPECT_EQ(Qkctl({"completion", shell}).exit_code, 0);
  ExpectWrongUsage({"completion", "csh"}, "SHELL: got 'csh', expected bash, zsh or fish");
  ExpectWrongUsage({"completion"}, "SHELL is required");
}

TEST_F(QkctlTest, OutputThatIsLostIsAnError) {
  for (const char* args : {"--help", "help score", "version", "completion zsh"}) {
    const Outcome full = Bash(absl::StrCat("$qkctl ", args, " >/dev/full"));
    EXPECT_EQ(full.exit_code, 1) << args;
    EXPECT_TRUE(absl::StrContains(full.err, "standard output: cannot write: No space")) << full.err;
  }
}

// A reader such as head may close the pipe when it has enough.
TEST_F(QkctlTest, AClosedPipeEndsItQuietly) {
  for (const char* args : {"--help", "help score", "version", "completion zsh"}) {
    const Outcome pipe = Bash(absl::StrCat("exec 3> >(true); wait $!; $qkctl ", args, " >&3"));
    EXPECT_EQ(pipe.exit_code, 1) << args;
    EXPECT_EQ(pipe.err, "") << args;
  }
}

TEST_F(QkctlTest, WrongUsageEndsWithCodeTwoAndAHint) {
  ExpectWrongUsage({}, "a command is required");
  ExpectWrongUsage({"compute"}, "unknown command 'compute'");
  ExpectWrongUsage({"status", "extra"}, "surplus argument 'extra'");
  ExpectWrongUsage({"status", "--", "extra"}, "surplus argument 'extra'");
  ExpectWrongUsage({"keys", "delete", "a", "--", "b"}, "surplus argument 'b'");
  ExpectWrongUsage({"keys", "delete", "--", "a", "--json"}, "surplus argument '--json'");
  ExpectWrongUsage({"keys", "buy"}, "unknown command 'keys buy'");
  ExpectWrongUsage({"keys", "get"}, "NAME is required");
  ExpectWrongUsage({"keys", "get", ""}, "NAME must not be empty");
  ExpectWrongUsage({"keys", "get", "a", "b"}, "surplus argument 'b'");
  ExpectWrongUsage({"keys", "list", "a"}, "surplus argument 'a'");
  ExpectWrongUsage({"keys", "put", "items"}, "--keys is required");
  ExpectWrongUsage({"keys", "put", "items", "--storage=int8"}, "expected float32, float16 or");
  ExpectWrongUsage({"keys", "put", "items", "--expected_version=1"}, "unknown flag");
  ExpectWrongUsage({"status", "--seed=1"}, "unknown flag --seed");
  ExpectWrongUsage({"status", "--timeout=0"}, "--timeout must be positive; was 0");
  ExpectWrongUsage({"status", "--timeout"}, "--timeout lacks its value");
  ExpectWrongUsage({"status", "--server="}, "--server: got '', expected a value");
  ExpectWrongUsage({"status", "--server=http://127.0.0.1:50051"},
                   "--server: got 'http://127.0.0.1:50051'; leave out 'http://'");
  ExpectWrongUsage({"load", "--server=127.0.0.1:70000"}, "--server: got '127.0.0.1:70000'");
  ExpectWrongUsage({"status", "--channels=0"}, "--channels must be from 1 to 1000; was 0");
  ExpectWrongUsage({"status", "--message_bytes_max=3000000000"}, "--message_bytes_max must be");
  ExpectWrongUsage({"score", "--keys=k.npy"}, "--queries is required");
  ExpectWrongUsage({"score", "--queries=q.npy"}, "--keys or --key_set is required");
  ExpectWrongUsage({"score", "--scale=inf"}, "expected a finite number or auto");
  ExpectWrongUsage({"score", "--result_type=int8"}, "expected float32, float16 or bfloat16");
}

TEST_F(QkctlTest, FlagsOfOneOutputAreWrongUsageWithAnother) {
  const auto expect_wrong = [this](std::vector<std::string> args, absl::string_view message) {
    args.insert(args.begin(), {"score", "--queries=q.npy", "--keys=k.npy"});
    ExpectWrongUsage(std::move(args), message);
  };
  expect_wrong({"--key_set=items"}, "--keys and --key_set exclude each other");
  expect_wrong({"--key_set_version=1"}, "--key_set_version requires --key_set");
  expect_wrong({"--output=sums"}, "expected scores, capped, masked, weights, context or top_k");
  expect_wrong({"--output=context"}, "--output=context requires --values");
  expect_wrong({"--values=v.npy"}, "--values is for --output=context only; with --output=scores");
  expect_wrong({"--values=v.npy", "--output=weights"}, "--values is for --output=context only");
  expect_wrong({"--output=top_k"}, "--output=top_k requires --top_k");
  expect_wrong({"--top_k=3"}, "--top_k is for --output=top_k only; with --output=scores");
  expect_wrong({"--indices_out=i.npy"}, "--indices_out is for --output=top_k only");
  expect_wrong({"--log_sum_exp_out=l.npy"},
               "--log_sum_exp_out is for --output=weights and context only");
  expect_wrong({"--log_sum_exp_out=l.npy", "--output=top_k", "--top_k=1"}, "--log_sum_exp_out");
  expect_wrong({"--result_type=bfloat16", "--out=s.npy"}, "requires a .safetensors file as --out");
  expect_wrong({"--output=top_k", "--top_k=1", "--indices_out=i.safetensors"},
               "--indices_out: expected FILE.npy, got i.safetensors");
  expect_wrong({"--out=o.txt"}, "--out: expected FILE.npy or FILE.safetensors, got o.txt");
  expect_wrong({"--output=weights", "--log_sum_exp_out=l"}, "--log_sum_exp_out: expected FILE.npy");
  expect_wrong({"--heatmap=map.jpg"}, "--heatmap: expected FILE.png, got map.jpg");
}

TEST_F(QkctlTest, FlagsOfAttentionAreParsedStrictly) {
  ExpectWrongUsage({"score", "--softcap=much"}, "--softcap: got 'much'");
  ExpectWrongUsage({"score", "--offset=1.5"}, "--offset: got '1.5'");
  ExpectWrongUsage({"score", "--window_left=x"}, "--window_left: got 'x'");
  ExpectWrongUsage({"score", "--window_right"}, "--window_right lacks its value");
  ExpectWrongUsage({"score", "--top_k=99999999999999999999"}, "--top_k: got '9999");
  for (const char* lengths : {"1,,2", "99999999999999999999", "a", "7.9"}) {
    ExpectWrongUsage({"score", absl::StrCat("--key_lengths=", lengths)},
                     "expected whole numbers with commas between them, or an .npy file");
  }
}

TEST_F(QkctlTest, StandardOutputTakesOneThing) {
  for (const char* second : {"--heatmap=-", "--log_sum_exp_out=-"}) {
    std::vector<std::string> args = {"score", "--queries=q.npy", "--keys=k.npy", "--output=weights",
                                     second};
    ExpectWrongUsage(args, "standard output takes one of");
    args.emplace_back("--out=-");
    ExpectWrongUsage(args, "standard output takes one of");
  }
}

TEST_F(QkctlTest, LoadRefusesWhatItCannotSend) {
  ExpectWrongUsage({"load", "--concurrency=0"}, "--concurrency must be from 1 to 10000; was 0");
  ExpectWrongUsage({"load", "--concurrency=10001"}, "--concurrency must be from 1 to 10000");
  ExpectWrongUsage({"load", "--duration=-1s"}, "--duration must be positive; was -1s");
  ExpectWrongUsage({"load", "--n=-1"}, "--n, --m and --d must be 0 or more");
  ExpectWrongUsage({"load", "--m=1000000", "--d=1000"}, "a request larger than");
  ExpectWrongUsage({"load", "--n=4611686018427387905", "--d=4"}, "a request larger than");
  ExpectWrongUsage({"load", "--key_set=items", "--m=3"},
                   "--m, --d and --dv are for keys that are made");
  ExpectWrongUsage({"load", "--output=context"}, "requires a key set with values");
  ExpectWrongUsage({"load", "--output=top_k"}, "--output=top_k requires --top_k");
  ExpectWrongUsage({"load", "--storage=bfloat16"}, "--storage is for --make_key_set");
  ExpectWrongUsage({"load", "--make_key_set=5"}, "expected m,d or m,d,dv");
  ExpectWrongUsage({"load", "--make_key_set=5,-1"}, "expected m,d or m,d,dv");
  ExpectWrongUsage({"load", "--make_key_set=5,1", "--key_set_version=1"}, "--key_set_version");
  ExpectWrongUsage({"load", "--n=100000", "--m=100000", "--d=1"}, "a result larger than");
  ExpectWrongUsage({"load", "--rate=0"}, "--rate must be positive");
  ExpectWrongUsage({"load", "--rate=-5"}, "--rate must be positive");
  ExpectWrongUsage({"load", "--rate=fast"}, "expected requests a second, or FROM:TO");
  ExpectWrongUsage({"load", "--rate=5", "--concurrency=2"}, "--concurrency is for a closed loop");
  ExpectWrongUsage({"load", "--concurrency=4:2:x2"}, "expected a number, FROM:TO:xFACTOR");
  ExpectWrongUsage({"load", "--workload=resident"},
                   "--workload: got 'resident': expected tiny, inline-small, ");
  ExpectWrongUsage({"load", "--find_peak", "--rate=1:5"}, "--find_peak begins at one --rate");
  ExpectWrongUsage({"load", "--latency_limit=50ms"}, "as p99:50ms");
  ExpectWrongUsage({"load", "--allow_errors=SOME"}, "'SOME' is no status code");
  ExpectWrongUsage({"load", "--zipf=1"}, "--zipf is for several key sets");
  ExpectWrongUsage({"load", "--in_flight_max=0"}, "--in_flight_max must be from 1 to");
  ExpectWrongUsage({"load", "--values=v.npy"}, "--values requires --keys");
  ExpectWrongUsage({"load", "--warm_up=-1s"}, "--warm_up must not be negative");
  ExpectWrongUsage({"load", "--duration=10"}, "expected a time with its unit");
  ExpectWrongUsage({"load", "--output=top_k", "--top_k=0"}, "--top_k must be 1 or more; was 0");
}

// No mistake is ignored silently, and none is found only after a whole load has run.
TEST_F(QkctlTest, LoadRefusesWhatWouldNotCount) {
  ExpectWrongUsage({"load", "--latency_limit=p99:5ms"}, "--latency_limit is for --find_peak");
  ExpectWrongUsage({"load", "--arrivals=constant"}, "are for an open loop");
  ExpectWrongUsage({"load", "--in_flight_max=5"}, "are for an open loop");
  ExpectWrongUsage({"load", "--make_key_set=5,1", "--key_sets=2"}, "makes one key set");
  ExpectWrongUsage({"load", "--make_key_set=5,1", "--m=2"}, "makes one key set");
  ExpectWrongUsage({"load", "--keys=k.npy", "--m=2"}, "--keys is a file, whose sizes count");
  ExpectWrongUsage({"load", "--report=load.htm"}, "expected FILE.html, got load.htm");
  ExpectWrongUsage({"load", "--values=v.npy", "--keys=k.npy"}, "are for --output=context");
  ExpectWrongUsage({"load", "--dv=5"}, "are for --output=context");
  ExpectWrongUsage({"load", "--keys=k.npy", "--workload=resident-context"}, "requires a key set");
  ExpectWrongUsage({"load", "--find_peak", "--latency_limit=p99:1s", "--duration=2s"},
                   "20s; was 2s");
  ExpectWrongUsage(
      {"load", absl::StrCat("--csv=", Path("a")), absl::StrCat("--json=", Path("./a"))},
      "--json and --csv are written to one place: ");
  ExpectWrongUsage({"load", "--csv=-", "--json=-"}, "--json and --csv are written to one place: -");
  ExpectFailure({"load", "--csv=/nowhere/a.csv"}, "NOT_FOUND: /nowhere/a.csv: cannot create");
  ExpectFailure({"load", absl::StrCat("--csv=", Path(""))},
                absl::StrCat("INVALID_ARGUMENT: ", Path(""), ": is a folder"));
}

TEST_F(QkctlTest, OutputsAreDifferentFilesAndNoInputs) {
  std::ofstream(Path("q.npy")) << "queries";
  const std::string queries = absl::StrCat("--queries=", Path("q.npy"));
  ExpectWrongUsage({"score", queries, "--keys=k.npy", absl::StrCat("--out=", Path("q.npy"))},
                   "--out would overwrite the file of --queries: ");
  ExpectWrongUsage(
      {"score", queries, "--keys=k.npy", "--output=weights", absl::StrCat("--out=", Path("a.npy")),
       absl::StrCat("--log_sum_exp_out=", Path("a.npy"))},
      "--out and --log_sum_exp_out are written to one place: ");
  ExpectWrongUsage({"load", queries, absl::StrCat("--json=", Path("q.npy"))},
                   "--json would overwrite the file of --queries: ");
  ExpectWrongUsage({"keys", "put", "items", absl::StrCat("--keys=", Path("k.safetensors:keys")),
                    absl::StrCat("--json=", Path("k.safetensors"))},
                   "--json would overwrite the file of --keys: ");
  ExpectWrongUsage({"status", "--tls", absl::StrCat("--tls_ca_file=", Path("q.npy")),
                    absl::StrCat("--json=", Path("q.npy"))},
                   "--json would overwrite the file of --tls_ca_file: ");
  EXPECT_EQ(ReadFile(Path("q.npy")), "queries");
  ExpectFailure({"score", queries, "--keys=k.npy", "--out=/nowhere/s.npy"},
                "NOT_FOUND: /nowhere/s.npy: cannot create");
}

TEST_F(QkctlTest, FilesThatCannotBeUsedAreNamed) {
  ExpectFailure({"score", absl::StrCat("--queries=", Path("absent.npy")), "--keys=k.npy"},
                absl::StrCat("NOT_FOUND: --queries: ", Path("absent.npy"), ": "));
  std::ofstream(Path("text.npy")) << "1 2 3";
  ExpectFailure(
      {"score", absl::StrCat("--queries=", Path("text.npy")), "--keys=k.npy"},
      absl::StrCat("INVALID_ARGUMENT: --queries: ", Path("text.npy"), ": not an .npy file"));

  Python("numpy.save(d + '/m.npy', numpy.eye(2, dtype='f4'))\n");
  Python("numpy.save(d + '/none.npy', numpy.zeros(0, dtype='i8'))\n");
  const std::vector<std::string> score = {"score", absl::StrCat("--queries=", Path("m.npy")),
                                          absl::StrCat("--keys=", Path("m.npy"))};
  const auto expect_named = [&](std::vector<std::string> more, absl::string_view message) {
    more.insert(more.begin(), score.begin(), score.end());
    ExpectFailure(std::move(more), message);
  };
  for (const char* flag : {"--mask", "--key_lengths", "--values"}) {
    expect_named({absl::StrCat(flag, "=", Path("text.npy")), "--output=context",
                  absl::StrCat("--values=", Path(flag[2] == 'v' ? "text.npy" : "m.npy"))},
                 absl::StrCat("INVALID_ARGUMENT: ", flag, ": ", Path("text.npy"), ": "));
  }
  expect_named(
      {absl::StrCat("--key_lengths=", Path("m.npy")), "--output=masked"},
      absl::StrCat("INVALID_ARGUMENT: --key_lengths: ", Path("m.npy"), ": elements are '<f4'"));
  expect_named({absl::StrCat("--key_lengths=", Path("none.npy")), "--output=masked"},
               absl::StrCat("INVALID_ARGUMENT: --key_lengths: ", Path("none.npy"), ": no lengths"));

  // Floats would be added to the scores, so integers become bool.
  Python("numpy.save(d + '/i.npy', numpy.eye(2, dtype='i8'))\n");
  expect_named({absl::StrCat("--mask=", Path("i.npy")), "--output=masked"},
               absl::StrCat("INVALID_ARGUMENT: --mask: ", Path("i.npy"),
                            ": elements are '<i8', expected bool '|b1', float32 '<f4' or float16 "
                            "'<f2'; convert with array.astype(bool)\n"));

  const std::string token_file = absl::StrCat("--token_file=", Path("token"));
  ExpectFailure({"status", token_file}, absl::StrCat("NOT_FOUND: --token_file ", Path("token")));
  std::ofstream(Path("token")) << "secret";
  ExpectFailure({"status", "--server=qkserve.test", token_file},
                "INVALID_ARGUMENT: --token_file requires --tls for qkserve.test");
  ExpectFailure({"status", "--tls", absl::StrCat("--tls_ca_file=", Path("none.pem"))},
                absl::StrCat("NOT_FOUND: --tls_ca_file ", Path("none.pem")));
  ExpectFailure({"status", "--tls", absl::StrCat("--tls_cert_file=", Path("token")),
                 absl::StrCat("--tls_key_file=", Path("token"))},
                absl::StrCat("INVALID_ARGUMENT: --tls_cert_file ", Path("token")));
}

TEST_F(QkctlTest, WithoutAServerEveryCommandFails) {
  const ClosedPort port;
  const std::string server = absl::StrCat("--server=", port.address());
  ExpectFailure({"status", server}, "UNAVAILABLE: ");
  ExpectFailure({"keys", "list", server}, "UNAVAILABLE: ");
  // The load ends long before its time, because no server answers.
  ExpectFailure({"load", server, "--concurrency=8", "--duration=1h"}, "UNAVAILABLE: ");
}

// --- With a server ------------------------------------------------------------------------------

class QkctlServerTest : public QkctlTest {
 protected:
  void SetUp() override {
    server_.emplace(
        std::vector<std::string>{QKSERVE_PROGRAM, "--listen_address=127.0.0.1:0",
                                 "--http_address=", absl::StrCat("--port_file=", Path("port"))},
        Path("server_out"), Path("server_err"));
    ASSERT_TRUE(
        Eventually([this] { return server_->Ended() || std::filesystem::exists(Path("port")); }));
    std::ifstream port_file(Path("port"));
    int port = 0;
    ASSERT_TRUE(port_file >> port) << ReadFile(Path("server_err"));
    flag_ = absl::StrCat("--server=127.0.0.1:", port);
  }

  void TearDown() override {
    if (!server_.has_value() || server_->Ended()) return;
    server_->Signal(SIGTERM);
    EXPECT_EQ(server_->Wait(), 0) << ReadFile(Path("server_err"));
  }

  Outcome Score(std::vector<std::string> args = {}) const {
    args.insert(args.begin(), {"score", flag_, absl::StrCat("--queries=", Path("q.npy")),
                               absl::StrCat("--keys=", Path("k.npy"))});
    return Qkctl(std::move(args));
  }

  void ExpectScored(std::vector<std::string> args) const {
    const Outcome outcome = Score(std::move(args));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
  }

  // Returns all that qkctl score prints if standard output and error are a terminal.
  std::string ScoreOnTerminal(bool no_color) const;

  std::optional<Process> server_;
  std::string flag_;
};

TEST_F(QkctlServerTest, ScoresMatchNumPyInDoublePrecision) {
  Python(
      "r = numpy.random.default_rng(1)\n"
      "numpy.save(d + '/q.npy', r.standard_normal((2, 3, 5, 64), dtype='f4'))\n"
      "numpy.save(d + '/k.npy', r.standard_normal((2, 3, 7, 64), dtype='f4'))\n");
  ExpectScored({absl::StrCat("--out=", Path("s.npy"))});
  ExpectScored({"--scale=auto", absl::StrCat("--out=", Path("auto.npy"))});
  ExpectScored({"--scale=-2.5", "--result_type=float16", absl::StrCat("--out=", Path("half.npy"))});
  Python(
      "q, k = (numpy.load(d + '/' + f + '.npy').astype('f8') for f in 'qk')\n"
      "exact = numpy.einsum('bhnd,bhmd->bhnm', q, k)\n"
      "size = numpy.einsum('bhnd,bhmd->bhnm', abs(q), abs(k))\n"
      "def check(name, scale, dtype, eps):\n"
      "    s = numpy.load(d + '/' + name + '.npy')\n"
      "    assert s.dtype == dtype and s.shape == (2, 3, 5, 7), (s.dtype, s.shape)\n"
      "    bound = abs(scale) * (64 * 2.0**-24 * size + eps * abs(exact)) * 1.01\n"
      "    assert (abs(s - scale * exact) <= bound).all(), (name, s, scale * exact)\n"
      "check('s', 1, '<f4', 2.0**-24)\n"
      "check('auto', 1 / 8, '<f4', 2.0**-23)\n"
      "check('half', -2.5, '<f2', 2.0**-11)\n");
}

TEST_F(QkctlServerTest, ScoresHalfPrecisionInputs) {
  Python(
      "numpy.save(d + '/q.npy', numpy.array([[1, 2], [3, 4]], dtype='f2'))\n"
      "numpy.save(d + '/k.npy', numpy.array([[1, 0], [0, 1], [1, 1]], dtype='f2'))\n");
  for (const char* type : {"float32", "float16"}) {
    const Outcome outcome = Score({absl::StrCat("--result_type=", type)});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, "[[1.0 2.0 3.0]\n [3.0 4.0 7.0]]\n");
  }
}

TEST_F(QkctlServerTest, ReadsAndWritesSafetensors) {
  const std::vector<float> q = {1, 2, 3, 4}, k = {1, 0, 0, 1, 1, 1};
  const auto write = [this](const std::string& name, const std::vector<float>& elements,
                            Shape shape) {
    const TensorView view = {DataType::kFloat32, std::move(shape),
                             reinterpret_cast<const std::byte*>(elements.data())};
    ASSERT_TRUE(WriteTensorFile(Path(name), "embedding", view).ok());
  };
  write("q.safetensors", q, {2, 2});
  write("k.safetensors", k, {3, 2});
  const Outcome outcome =
      Qkctl({"score", flag_, absl::StrCat("--queries=", Path("q.safetensors")),
             absl::StrCat("--keys=", Path("k.safetensors:embedding")), "--result_type=bfloat16",
             absl::StrCat("--out=", Path("s.safetensors"))});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto file = OpenTensorFile(Path("s.safetensors:result"), "");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->data_type, DataType::kBfloat16);
  EXPECT_EQ(ElementsAsFloat(ReadTensor(*file)->View()), (std::vector<float>{1, 2, 3, 3, 4, 7}));
}

TEST_F(QkctlServerTest, WritesToStandardOutputNothingButTheFile) {
  Python(
      "numpy.save(d + '/q.npy', numpy.eye(3, dtype='f4'))\n"
      "numpy.save(d + '/k.npy', numpy.eye(3, dtype='f4'))\n");
  ExpectScored({"--out=-"});
  std::filesystem::rename(Path("out"), Path("s.npy"));
  Python("assert (numpy.load(d + '/s.npy') == numpy.eye(3)).all()\n");
}

TEST_F(QkctlServerTest, ShowsTheBestKeysBesideTheirScores) {
  Python(
      "numpy.save(d + '/q.npy', numpy.array([[1], [-1]], dtype='f4'))\n"
      "numpy.save(d + '/k.npy', numpy.arange(12, dtype='f4')[:, None])\n");
  const Outcome outcome = Score({"--output=top_k", "--top_k=2", "--causal", "--offset=10",
                                 absl::StrCat("--indices_out=", Path("i.npy"))});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "[[10: 10.0   9:  9.0]\n [ 0:  0.0   1: -1.0]]\n");
  Python(
      "i = numpy.load(d + '/i.npy')\n"
      "assert i.dtype == '<i4' and (i == [[10, 9], [0, 1]]).all(), i\n");
}

TEST_F(QkctlServerTest, OptionsOfAttentionReachTheServer) {
  Python(
      "numpy.save(d + '/q.npy', numpy.ones((1, 1), dtype='f4'))\n"
      "numpy.save(d + '/k.npy', numpy.arange(1, 6, dtype='f4')[:, None])\n"
      "numpy.save(d + '/m.npy', numpy.array([True, False, True]))\n");
  const auto expect_shown = [this](std::vector<std::string> args, absl::string_view expected) {
    args.insert(args.begin(), "--output=masked");
    const Outcome outcome = Score(std::move(args));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, expected);
  };
  expect_shown({"--key_lengths=2"}, "[[ 1.0  2.0 -inf -inf -inf]]\n");
  expect_shown({absl::StrCat("--mask=", Path("m.npy"))}, "[[ 1.0 -inf  3.0 -inf -inf]]\n");
  expect_shown({"--causal", "--offset", "1"}, "[[ 1.0  2.0 -inf -inf -inf]]\n");
  expect_shown({"--causal", "--offset", "-1"}, "[[-inf -inf -inf -inf -inf]]\n");
  expect_shown({"--window_left=1", "--window_right=0", "--offset=2"},
               "[[-inf  2.0  3.0 -inf -inf]]\n");
  expect_shown({"--softcap=1e-20", "--scale=1e30"},
               "[[1.0000e-20 1.0000e-20 1.0000e-20 "
               "1.0000e-20 1.0000e-20]]\n");
}

TEST_F(QkctlServerTest, FlagsOfLaterStagesAreWarnedOf) {
  Python(
      "numpy.save(d + '/q.npy', numpy.ones((1, 1), dtype='f4'))\n"
      "numpy.save(d + '/k.npy', numpy.ones((2, 1), dtype='f4'))\n"
      "numpy.save(d + '/m.npy', numpy.array([True, False]))\n");
  const auto expect_warning = [this](std::vector<std::string> args, absl::string_view warning) {
    const Outcome outcome = Score(std::move(args));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, warning);
  };
  expect_warning({"--causal"}, "warning: --causal has no effect with --output=scores\n");
  expect_warning({"--softcap=2", "--key_lengths=1", absl::StrCat("--mask=", Path("m.npy"))},
                 "warning: --softcap, --key_lengths and --mask have no effect with "
                 "--output=scores\n");
  expect_warning(
      {"--output=capped", "--softcap=2", "--window_left=1", "--window_right=1", "--offset=0"},
      "warning: --window_left, --window_right and --offset have no effect with "
      "--output=capped\n");
  expect_warning({"--output=capped", "--softcap=2"}, "");
  expect_warning({"--output=masked", "--softcap=2", "--causal"}, "");
  expect_warning({"--nocausal"}, "");
}

TEST_F(QkctlServerTest, ACallThatTakesTooLongNamesTheFlag) {
  Python(
      "numpy.save(d + '/q.npy', numpy.ones((1, 1), dtype='f4'))\n"
      "numpy.save(d + '/k.npy', numpy.ones((2, 1), dtype='f4'))\n");
  server_->Signal(SIGSTOP);  // nothing is answered
  for (const Outcome& outcome :
       {Score({"--timeout=50ms"}), Qkctl({"status", flag_, "--timeout=50ms"})}) {
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_TRUE(absl::StartsWith(outcome.err, "error: DEADLINE_EXCEEDED: ")) << outcome.err;
    EXPECT_TRUE(absl::EndsWith(outcome.err, "; raise --timeout, which is 50ms\n")) << outcome.err;
  }
  server_->Signal(SIGCONT);
}

// Runs the commands of qkctl_keys_test.cc against a real server.
TEST_F(QkctlServerTest, KeySetsLiveFromPutToDelete) {
  Python(
      "r = numpy.random.default_rng(1)\n"
      "for name, shape in ('q', (3, 16)), ('k', (40, 16)), ('v', (40, 5)):\n"
      "    numpy.save(d + '/' + name, r.standard_normal(shape, dtype='f4'))\n"
      "for name in 'kv':\n"
      "    x = numpy.load(d + '/' + name + '.npy')\n"
      "    numpy.save(d + '/first_' + name, x[:30])\n"
      "    numpy.save(d + '/more_' + name, x[30:])\n");
  const auto upload = [this](const char* command, const char* part) {
    return Qkctl({"keys", command, "items", flag_,
                  absl::StrCat("--keys=", Path(absl::StrCat(part, "_k.npy"))),
                  absl::StrCat("--values=", Path(absl::StrCat(part, "_v.npy")))});
  };
  const Outcome put = upload("put", "first");
  EXPECT_EQ(put.exit_code, 0) << put.err;
  EXPECT_TRUE(absl::StrContains(put.out, "[30, 16]  [.., 5]  FLOAT32")) << put.out;
  const Outcome append = upload("append", "more");
  EXPECT_EQ(append.exit_code, 0) << append.err;
  EXPECT_TRUE(absl::StrContains(append.out, "[40, 16]  [.., 5]  FLOAT32")) << append.out;

  ExpectScored({"--output=context", absl::StrCat("--values=", Path("v.npy")),
                absl::StrCat("--out=", Path("inline.npy"))});
  const Outcome score =
      Qkctl({"score", flag_, absl::StrCat("--queries=", Path("q.npy")), "--key_set=items",
             "--output=context", absl::StrCat("--out=", Path("resident.npy"))});
  EXPECT_EQ(score.exit_code, 0) << score.err;
  Python(
      "a, b = (numpy.load(d + '/' + f + '.npy') for f in ('inline', 'resident'))\n"
      "assert a.shape == b.shape == (3, 5) and abs(a - b).max() < 1e-5, abs(a - b).max()\n");

  const Outcome load =
      Qkctl({"load", flag_, "--key_set=items", "--n=1", "--duration=100ms", "--json"});
  const nlohmann::json report = nlohmann::json::parse(load.out, nullptr, false);
  ASSERT_TRUE(report.is_object()) << load.err;
  EXPECT_EQ(report.at("errors"), 0);
  EXPECT_EQ(report.at("m"), 40);

  EXPECT_EQ(Qkctl({"keys", "delete", "items", flag_}).exit_code, 0);
  ExpectFailure({"keys", "get", "items", flag_}, "NOT_FOUND: ");
}

TEST_F(QkctlServerTest, LoadRemovesTheKeySetThatItMade) {
  const Outcome load = Qkctl({"load", flag_, "--make_key_set=500,16,8", "--storage=bfloat16",
                              "--n=1", "--duration=100ms", "--output=context"});
  EXPECT_EQ(load.exit_code, 0) << load.err;
  EXPECT_TRUE(absl::StrContains(load.out, "n=1 m=500 d=16, key set qkctl-load-")) << load.out;
  EXPECT_EQ(Qkctl({"keys", "list", flag_}).out, "no key sets\n");
}

TEST_F(QkctlServerTest, DrawsTheResult) {
  Python(
      "numpy.save(d + '/q.npy', numpy.eye(3, dtype='f4'))\n"
      "numpy.save(d + '/k.npy', numpy.eye(3, dtype='f4'))\n"
      "numpy.save(d + '/none.npy', numpy.zeros((0, 3), dtype='f4'))\n");
  const Outcome outcome = Score({absl::StrCat("--heatmap=", Path("map.png"))});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(absl::StartsWith(outcome.out, "[[1.0 0.0 0.0]\n")) << outcome.out;
  EXPECT_TRUE(absl::StartsWith(ReadFile(Path("map.png")), "\x89PNG"));

  const Outcome empty = Score(
      {absl::StrCat("--keys=", Path("none.npy")), absl::StrCat("--heatmap=", Path("no.png"))});
  EXPECT_EQ(empty.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(empty.err, "would be empty")) << empty.err;
  EXPECT_FALSE(std::filesystem::exists(Path("no.png")));
}

TEST_F(QkctlServerTest, TellsTheReceiptOnRequest) {
  Python(
      "numpy.save(d + '/q.npy', numpy.eye(3, dtype='f4'))\n"
      "numpy.save(d + '/k.npy', numpy.eye(3, dtype='f4'))\n");
  const Outcome outcome = Score({"--receipt"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_TRUE(absl::StartsWith(outcome.err, "queued ")) << outcome.err;
  EXPECT_TRUE(absl::StrContains(outcome.err, "1 request and 3 rows in its batch, ")) << outcome.err;
}

TEST_F(QkctlServerTest, AnswersThatTheServerRefusesAreErrors) {
  Python(
      "numpy.save(d + '/q.npy', numpy.zeros((2, 3), dtype='f4'))\n"
      "numpy.save(d + '/k.npy', numpy.zeros((2, 4), dtype='f4'))\n");
  const Outcome outcome = Score();
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_TRUE(absl::StartsWith(outcome.err, "error: INVALID_ARGUMENT: ")) << outcome.err;
}

std::string QkctlServerTest::ScoreOnTerminal(bool no_color) const {
  std::vector<std::string> command = {QKCTL_PROGRAM, "score", flag_,
                                      absl::StrCat("--queries=", Path("q.npy")),
                                      absl::StrCat("--keys=", Path("k.npy"))};
  const std::vector<char*> argv = Pointers(command);
  std::vector<std::string> environment = {"TERM=xterm", no_color ? "NO_COLOR=1" : "NO_COLOR="};
  const std::vector<char*> envp = Pointers(environment);
  winsize size = {};
  size.ws_row = 24;
  size.ws_col = 30;
  int terminal = -1;
  const pid_t pid = forkpty(&terminal, nullptr, nullptr, &size);
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
  return output;
}

TEST_F(QkctlServerTest, TerminalsShowAHeatMapAndTheReceipt) {
  Python(
      "numpy.save(d + '/q.npy', numpy.eye(100, dtype='f4'))\n"
      "numpy.save(d + '/k.npy', numpy.eye(100, dtype='f4'))\n");
  const std::string colored = ScoreOnTerminal(/*no_color=*/false);
  // A terminal of 30 columns has room for five numbers.
  EXPECT_TRUE(absl::StartsWith(colored, "[[1.0 0.0 0.0 ... 0.0 0.0]")) << colored;
  EXPECT_TRUE(absl::StrContains(colored, "scores: 100 queries down, 100 keys across")) << colored;
  EXPECT_TRUE(absl::StrContains(colored, "\x1b[38;2;")) << colored;
  EXPECT_TRUE(absl::StrContains(colored, "100 rows in its batch")) << colored;

  const std::string plain = ScoreOnTerminal(/*no_color=*/true);
  EXPECT_TRUE(absl::StartsWith(plain, "[[1.0 0.0 0.0 ... 0.0 0.0]")) << plain;
  EXPECT_FALSE(absl::StrContains(plain, "\x1b")) << plain;
}

TEST_F(QkctlServerTest, FlagsMayStandBeforeTheCommand) {
  const std::string address = flag_.substr(flag_.find('=') + 1);
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{flag_, "keys", "list"},
        {"--server", address, "keys", "list"},
        {"--notls", flag_, "keys", "list", "--timeout=20s"},
        {"--server=nowhere.invalid", "keys", "list", flag_}}) {
    const Outcome outcome = Qkctl(args);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, "no key sets\n");
  }
  ExpectWrongUsage({"--no_such_flag", "status"}, "no_such_flag");
}

TEST_F(QkctlServerTest, StatusIsForPeopleOrForPrograms) {
  const Outcome text = Qkctl({"status", flag_});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_TRUE(absl::StartsWith(text.out, absl::StrCat("version             ", kVersion, "\n")))
      << text.out;
  for (const absl::string_view expected :
       {"\nkernel ", "GFLOP/s per worker\n", "\nworkers ", "\nuptime ", "\nqueued requests     0\n",
        "\nqueued cost ", "\nin flight ", "\nrequests answered   0\n",
        "\nrequests a batch    -\n"}) {
    EXPECT_TRUE(absl::StrContains(text.out, expected)) << expected << text.out;
  }

  const Outcome outcome = Qkctl({"status", flag_, "--json"});
  const nlohmann::json json = nlohmann::json::parse(outcome.out, nullptr, false);
  ASSERT_TRUE(json.is_object()) << outcome.out;
  EXPECT_EQ(json.at("version"), kVersion);
  EXPECT_GE(json.at("workers"), 1);
  EXPECT_EQ(json.at("queued_requests"), 0);
  EXPECT_TRUE(json.at("batch_requests_mean").is_null());
}

TEST_F(QkctlServerTest, AVariableStandsForAFlagThatIsNotGiven) {
  const std::string address = flag_.substr(flag_.find('=') + 1);
  const ClosedPort closed;
  EXPECT_EQ(Qkctl({"status"}, {absl::StrCat("QKCTL_SERVER=", address)}).exit_code, 0);
  EXPECT_EQ(Qkctl({"status", flag_}, {absl::StrCat("QKCTL_SERVER=", closed.address())}).exit_code,
            0);
  EXPECT_EQ(Qkctl({"status", flag_}, {"QKCTL_MESSAGE_BYTES_MAX=2MiB", "QKCTL_TLS=false"}).exit_code,
            0);
  // Only flags of the connection have variables.
  EXPECT_EQ(Qkctl({"status", flag_}, {absl::StrCat("QKCTL_JSON=", Path("s.json"))}).exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(Path("s.json")));
}

// The texts that real programs print fit a terminal of 80 columns.
TEST_F(QkctlServerTest, OutputsFitATerminal) {
  Python("numpy.save(d + '/k.npy', numpy.zeros((3, 2), dtype='f4'))\n");
  const std::string name(128, 'n');
  EXPECT_EQ(Qkctl({"keys", "put", name, flag_, absl::StrCat("--keys=", Path("k.npy"))}).exit_code,
            0);
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"--help"},
                                             {"keys"},
                                             {"help", "score"},
                                             {"help", "load"},
                                             {"status", flag_},
                                             {"load", flag_, "--rate=50", "--duration=200ms"},
                                             {"load", flag_, absl::StrCat("--key_set=", name),
                                              "--concurrency=1:4:x2", "--duration=50ms"}}) {
    const Outcome outcome = Qkctl(args);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    for (const std::string& line : std::vector<std::string>(absl::StrSplit(outcome.out, '\n'))) {
      const auto columns =
          std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; });
      EXPECT_LE(columns, 80) << line;
    }
  }
  // Programs read what is not shown on a terminal, so names are whole.
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"keys", "list", flag_}, {"keys", "get", name, flag_}}) {
    EXPECT_TRUE(absl::StrContains(Qkctl(args).out, absl::StrCat("\n", name, "  ")));
  }
}

TEST_F(QkctlServerTest, LoadReportsItsFigures) {
  const Outcome outcome =
      Qkctl({"load", flag_, "--concurrency=4", "--channels=2", "--duration=1s", "--n=3", "--m=40",
             "--d=8", "--noprogress", absl::StrCat("--json=", Path("load.json"))});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  for (const absl::string_view expected :
       {"requests/s ", "latency p50 ", "latency p99.9 ", "latency max ", "requests a batch "}) {
    EXPECT_TRUE(absl::StrContains(outcome.out, expected)) << outcome.out;
  }
  const nlohmann::json json = nlohmann::json::parse(ReadFile(Path("load.json")), nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_GT(json.at("requests_per_second"), 0);
  EXPECT_GT(json.at("ok"), 0);
  EXPECT_EQ(json.at("errors"), 0);
  EXPECT_TRUE(json.at("errors_by_code").empty());
  EXPECT_GE(json.at("batch_requests_mean"), 1);
  const nlohmann::json& latency_us = json.at("latency_us");
  EXPECT_GT(latency_us.at("p50"), 0);
  EXPECT_LE(latency_us.at("p50"), latency_us.at("p90"));
  EXPECT_LE(latency_us.at("p90"), latency_us.at("p99"));
  EXPECT_LE(latency_us.at("p99"), latency_us.at("p999"));
  EXPECT_EQ(json.at("n"), 3);
  EXPECT_EQ(json.at("m"), 40);
  EXPECT_EQ(json.at("d"), 8);
  EXPECT_EQ(json.at("concurrency"), 4);
  EXPECT_EQ(json.at("channels"), 2);
  EXPECT_GE(json.at("duration_s"), 1);
}

TEST_F(QkctlServerTest, LoadInAnOpenLoopShowsWhatWasDue) {
  const Outcome outcome =
      Qkctl({"load", flag_, "--rate=5:15", "--arrivals=constant", "--duration=2s",
             "--warm_up=100ms", "--verify", "--noprogress", absl::StrCat("--json=", Path("l.json")),
             absl::StrCat("--csv=", Path("l.csv")), absl::StrCat("--report=", Path("l.html"))});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const absl::string_view expected :
       {"response time    service time\n", "due ", "sent ", "5 to 15/s, constant", " 0 wrong\n"}) {
    EXPECT_TRUE(absl::StrContains(outcome.out, expected)) << outcome.out;
  }
  const nlohmann::json json = nlohmann::json::parse(ReadFile(Path("l.json")), nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json.at("due"), 20);
  EXPECT_GT(json.at("verify").at("rows"), 0);
  EXPECT_GT(json.at("verify").at("duplicates"), 0);
  EXPECT_GT(json.at("service_us").at("p50"), 0);
  EXPECT_GT(json.at("intervals").size(), 5u);
  EXPECT_TRUE(absl::StartsWith(ReadFile(Path("l.csv")), "concurrency,rate,begin_s,"));
  EXPECT_TRUE(absl::StartsWith(ReadFile(Path("l.html")), "<!DOCTYPE html>"));
}

TEST_F(QkctlServerTest, LoadRunsOneConcurrencyAfterTheOther) {
  const Outcome outcome = Qkctl({"load", flag_, "--concurrency=1:4:x2", "--duration=100ms",
                                 absl::StrCat("--json=", Path("l.json"))});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(absl::StrContains(outcome.out, "\n4 at a time ")) << outcome.out;
  const nlohmann::json json = nlohmann::json::parse(ReadFile(Path("l.json")), nullptr, false);
  ASSERT_EQ(json.at("steps").size(), 3u);
  EXPECT_EQ(json.at("steps")[2].at("concurrency"), 4);
}

TEST_F(QkctlServerTest, LoadFindsThatNothingHoldsANanosecond) {
  const Outcome none = Qkctl({"load", flag_, "--find_peak", "--latency_limit=p50:1ns", "--rate=200",
                              "--arrivals=constant", "--duration=200ms", "--warm_up=0s",
                              "--noprogress", absl::StrCat("--json=", Path("l.json"))});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(none.out, "no peak: no rate held p50 <= 1ns")) << none.out;
  EXPECT_TRUE(absl::StrContains(none.err, "OUT_OF_RANGE: no rate holds the limit")) << none.err;
  const nlohmann::json json = nlohmann::json::parse(ReadFile(Path("l.json")), nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json.at("peak").at("end"), "nothing_held");
  EXPECT_GT(json.at("steps").size(), 2u);
}

TEST_F(QkctlServerTest, LoadOverSeveralKeySetsLeavesNone) {
  const Outcome outcome = Qkctl({"load", flag_, "--key_sets=3", "--zipf=1", "--m=50", "--d=8",
                                 "--n=2", "--duration=200ms", "--storage=float16", "--verify"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(absl::StrContains(outcome.out, " 0 wrong\n")) << outcome.out;
  EXPECT_EQ(Qkctl({"keys", "list", flag_}).out, "no key sets\n");
}

TEST_F(QkctlServerTest, LoadTakesItsTensorsFromFiles) {
  Python(
      "r = numpy.random.default_rng(1)\n"
      "for name, shape in (('q', (9, 6)), ('k', (40, 6)), ('v', (40, 3)), ('none', (0, 6))):\n"
      "    numpy.save(d + '/' + name + '.npy', r.standard_normal(shape).astype('f4'))\n");
  for (const char* where : {"--channels=1", "--key_sets=2"}) {  // keys are inline, or in key sets
    const Outcome outcome =
        Qkctl({"load", flag_, "--output=context", where, "--verify", "--n=4", "--duration=200ms",
               absl::StrCat("--queries=", Path("q.npy")), absl::StrCat("--keys=", Path("k.npy")),
               absl::StrCat("--values=", Path("v.npy"))});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_TRUE(absl::StrContains(outcome.out, "n=4 m=40 d=6")) << outcome.out;
    EXPECT_TRUE(absl::StrContains(outcome.out, " 0 wrong\n")) << outcome.out;
    EXPECT_FALSE(absl::StrContains(outcome.out, "verify: 0 rows")) << outcome.out;
  }
  ExpectFailure({"load", flag_, absl::StrCat("--queries=", Path("none.npy"))},
                absl::StrCat("INVALID_ARGUMENT: --queries: ", Path("none.npy"), ": expected rows"));
}

TEST_F(QkctlServerTest, LoadWhoseRequestsFailSaysSo) {
  std::vector<std::string> command = {"load",      flag_,           "--duration=300ms",
                                      "--rate=50", "--timeout=1us", "--noprogress"};
  const Outcome failed = Qkctl(command);
  EXPECT_EQ(failed.exit_code, 1);
  EXPECT_TRUE(absl::StartsWith(failed.err, "error: DEADLINE_EXCEEDED: ")) << failed.err;
  command.emplace_back("--allow_errors=deadline_exceeded");
  const Outcome allowed = Qkctl(command);
  EXPECT_EQ(allowed.exit_code, 0) << allowed.err;
  EXPECT_TRUE(absl::StrContains(allowed.out, "  DEADLINE_EXCEEDED ")) << allowed.out;
}

TEST_F(QkctlServerTest, LoadThatCannotKeepItsRateEndsWithThree) {
  const Outcome outcome = Qkctl({"load", flag_, "--rate=2000", "--in_flight_max=1", "--n=512",
                                 "--m=2048", "--d=256", "--duration=500ms", "--noprogress"});
  EXPECT_EQ(outcome.exit_code, 3) << outcome.out;
  // The message blames the server or, on a busy machine, the client. LoadVerdictTest has both
  // texts.
  EXPECT_TRUE(absl::StartsWith(outcome.err, "error: ABORTED: sent ")) << outcome.err;
}

TEST_F(QkctlServerTest, LoadInJsonPrintsNothingElse) {
  const Outcome outcome = Qkctl({"load", flag_, "--duration=50ms", "--json=-"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(nlohmann::json::accept(outcome.out)) << outcome.out;
}

TEST_F(QkctlServerTest, LoadEndsEarlyWithItsReportWhenInterrupted) {
  Process load({QKCTL_PROGRAM, "load", flag_, "--duration=1h", "--progress"}, Path("out"),
               Path("err"));
  // After the first line about its progress, the load is under way.
  ASSERT_TRUE(Eventually([this] { return absl::StrContains(ReadFile(Path("err")), "p99 "); }));
  load.Signal(SIGINT);
  EXPECT_EQ(load.Wait(), 0);
  EXPECT_TRUE(absl::StrContains(ReadFile(Path("out")), "requests/s ")) << ReadFile(Path("out"));
}

TEST_F(QkctlServerTest, LoadWithoutASingleAnswerFailsWithTheFirstError) {
  // The result is above the server's message limit, but not above the tool's.
  ExpectFailure({"load", flag_, "--duration=100ms", "--n=10000", "--m=10000", "--d=1",
                 "--message_bytes_max=2147483647"},
                "RESOURCE_EXHAUSTED: ");
}

}  // namespace
}  // namespace qkserve
