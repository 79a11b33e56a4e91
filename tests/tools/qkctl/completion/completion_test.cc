#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/process.h"
#include "tools/qkctl/commands/commands.h"
#include "tools/qkctl/completion/command_words.h"
#include "tools/qkctl/completion/shell_scripts.h"

namespace qkserve {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;
using testing::UnorderedElementsAre;

std::vector<CommandWords> AllWords() {
  std::vector<CommandWords> words;
  for (const Command& command : AllCommands()) words.push_back(WordsOf(command));
  return words;
}

FlagWords FlagOf(const Command& command, const std::string& name) {
  for (const FlagWords& flag : WordsOf(command).flags) {
    if (flag.name == name) return flag;
  }
  ADD_FAILURE() << "no flag " << name;
  return {};
}

TEST(CommandWordsTest, TellTheKindsOfFlags) {
  EXPECT_EQ(FlagOf(ScoreCommand(), "causal").value, FlagWords::Value::kBoolean);
  EXPECT_EQ(FlagOf(StatusCommand(), "json").value, FlagWords::Value::kOptional);
  EXPECT_EQ(FlagOf(StatusCommand(), "timeout").value, FlagWords::Value::kRequired);
  EXPECT_THAT(FlagOf(ScoreCommand(), "output").choices,
              ElementsAre("scores", "capped", "masked", "weights", "context", "top_k"));
  EXPECT_THAT(FlagOf(LoadCommand(), "workload").choices, Contains("resident-top"));
  EXPECT_THAT(FlagOf(LoadCommand(), "arrivals").choices, ElementsAre("poisson", "constant"));
  EXPECT_THAT(FlagOf(ScoreCommand(), "scale").choices, IsEmpty());
  EXPECT_EQ(FlagOf(StatusCommand(), "channels").brief, "Connections");
  for (const char* file : {"queries", "keys", "mask", "out", "heatmap", "tls_ca_file"}) {
    EXPECT_TRUE(FlagOf(ScoreCommand(), file).is_file) << file;
  }
  for (const char* other : {"server", "scale", "causal", "output", "key_set"}) {
    EXPECT_FALSE(FlagOf(ScoreCommand(), other).is_file) << other;
  }
}

// The words come from the texts of --help. The parser must know them.
TEST(CommandWordsTest, AreFlagsThatTheCommandTakes) {
  for (const Command& command : AllCommands()) {
    const CommandWords words = WordsOf(command);
    for (const FlagWords& flag : words.flags) {
      for (const std::string& choice : flag.choices) {
        Flags flags("");
        command.add_flags(flags);
        const std::string given = absl::StrCat("--", flag.name, "=", choice);
        const absl::Status status = flags.Parse({given.c_str()}).status();
        EXPECT_FALSE(absl::StrContains(status.message(), flag.name)) << status;
      }
      Flags flags("");
      command.add_flags(flags);
      const std::string given = absl::StrCat("--", flag.name, "=1");
      const absl::Status status = flags.Parse({given.c_str()}).status();
      EXPECT_FALSE(absl::StrContains(status.message(), "unknown flag")) << status;
      EXPECT_NE(flag.brief, "") << flag.name;
    }
  }
}

// A real bash completes command lines.
class BashCompletionTest : public testing::Test {
 protected:
  BashCompletionTest() { std::ofstream(directory_.Path("script")) << BashCompletion(AllWords()); }

  // Returns the words that bash offers at the end of `line`.
  std::vector<std::string> Complete(const std::string& line) const {
    const Outcome outcome =
        RunCommand({"/bin/bash", "--norc", "--noprofile", "-c",
                    R"(cd "$1" && source ./script && complete -p qkctl >/dev/null || exit
            COMP_WORDBREAKS=$' \t\n"\'><=;|&(:' COMP_LINE=$2 COMP_POINT=${#2}
            _qkctl
            for word in "${COMPREPLY[@]}"; do echo "$word"; done)",
                    "bash", directory_.path(), line},
                   directory_);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    return absl::StrSplit(outcome.out, '\n', absl::SkipEmpty());
  }

  const TemporaryDirectory directory_{"completion_test"};
};

TEST_F(BashCompletionTest, OffersCommands) {
  EXPECT_THAT(Complete("qkctl "), UnorderedElementsAre("score", "keys", "status", "load", "version",
                                                       "completion", "help"));
  EXPECT_THAT(Complete("qkctl s"), UnorderedElementsAre("score", "status"));
  EXPECT_THAT(Complete("qkctl keys "),
              UnorderedElementsAre("put", "append", "get", "list", "delete"));
  EXPECT_THAT(Complete("qkctl completion "), IsSupersetOf({"bash", "zsh", "fish"}));
  EXPECT_THAT(Complete("qkctl help k"), ElementsAre("keys"));
}

TEST_F(BashCompletionTest, OffersTheFlagsOfTheCommand) {
  EXPECT_THAT(Complete("qkctl keys put items --st"), ElementsAre("--storage="));
  EXPECT_THAT(Complete("qkctl score --"),
              IsSupersetOf({"--queries=", "--causal", "--nocausal", "--server=", "--help"}));
  EXPECT_THAT(Complete("qkctl status --"), Not(Contains("--queries=")));
  EXPECT_THAT(Complete("qkctl status --js"), ElementsAre("--json"));
}

TEST_F(BashCompletionTest, OffersTheValuesOfAFlag) {
  EXPECT_THAT(Complete("qkctl score --output=c"), UnorderedElementsAre("capped", "context"));
  EXPECT_THAT(Complete("qkctl score --output c"), UnorderedElementsAre("capped", "context"));
  EXPECT_THAT(Complete("qkctl score --causal --output=w"), ElementsAre("weights"));
  EXPECT_THAT(Complete("qkctl score --timeout="), IsEmpty());
}

TEST_F(BashCompletionTest, OffersFiles) {
  std::ofstream(directory_.Path("keys of items.npy")) << "";
  EXPECT_THAT(Complete("qkctl keys put items --keys=ke"), ElementsAre("keys of items.npy"));
  EXPECT_THAT(Complete("qkctl load --report sc"), ElementsAre("script"));
}

TEST(ShellScriptsTest, HaveEveryCommandAndFlag) {
  const std::vector<CommandWords> words = AllWords();
  const std::string zsh = ZshCompletion(words), fish = FishCompletion(words);
  for (const CommandWords& command : words) {
    EXPECT_TRUE(absl::StrContains(zsh, absl::StrCat("  '", command.name, "')\n"))) << zsh;
    for (const FlagWords& flag : command.flags) {
      EXPECT_TRUE(absl::StrContains(zsh, absl::StrCat("'--", flag.name))) << flag.name;
      EXPECT_TRUE(absl::StrContains(
          fish, absl::StrCat("'__qkctl_begins ", command.name, "' -l ", flag.name, " ")))
          << flag.name;
    }
  }
}

}  // namespace
}  // namespace qkserve
