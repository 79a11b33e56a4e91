#include "base/flags.h"

#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class FlagsTest : public testing::Test {
 protected:
  FlagsTest() {
    flags_.Add("count", &count_, "how many");
    flags_.Add("depth", &depth_, "how deep");
    flags_.Add("loud", &loud_, "with noise");
    flags_.Add("name", &name_, "of the dog");
    flags_.Add("folder", &folder_, "to look in", {.may_be_empty = true});
    flags_.BeginGroup("Times");
    flags_.Add("wait", &wait_, "how long");
    flags_.Add("json", &json_, "a file", {.value_alone = "-", .placeholder = "FILE"});
  }

  absl::Status Parse(const std::vector<const char*>& args) { return flags_.Parse(args).status(); }

  int count_ = 7;
  std::optional<int64_t> depth_;
  bool loud_ = false;
  std::string name_, json_;
  std::string folder_ = "here";
  absl::Duration wait_ = absl::Seconds(90);
  Flags flags_{"A test.\n"};
};

TEST_F(FlagsTest, WhatIsNotGivenKeepsItsDefault) {
  ASSERT_TRUE(Parse({}).ok());
  EXPECT_EQ(count_, 7);
  EXPECT_EQ(depth_, std::nullopt);
  EXPECT_EQ(wait_, absl::Seconds(90));
}

TEST_F(FlagsTest, TakesValuesInBothForms) {
  ASSERT_TRUE(Parse({"--count=3", "--name", "a=b", "--depth", "-5", "--wait=1m30s"}).ok());
  EXPECT_EQ(count_, 3);
  EXPECT_EQ(name_, "a=b");
  EXPECT_EQ(depth_, -5);
}

TEST_F(FlagsTest, OneDashDoesAsWell) {
  ASSERT_TRUE(Parse({"-count=3", "-name", "a", "-noloud", "-folder="}).ok());
  EXPECT_EQ(count_, 3);
  EXPECT_EQ(name_, "a");
  EXPECT_EQ(folder_, "");
}

TEST_F(FlagsTest, TakesTextsThatLookLikeSomethingElse) {
  for (const char* text :
       {"--count=4", "a=", "--weird=", "[1,2]", "{}", "-", "a,b", "-h", "-count=4", "-loud"}) {
    ASSERT_TRUE(Parse({"--name", text}).ok()) << text;
    EXPECT_EQ(name_, text);
    EXPECT_EQ(count_, 7);
    EXPECT_FALSE(loud_);
  }
}

TEST_F(FlagsTest, TakesHexadecimalNumbersAndBlanksAroundNumbersAndBooleans) {
  ASSERT_TRUE(Parse({"--count=0x1f", "--depth= 5 ", "--loud= yes "}).ok());
  EXPECT_EQ(count_, 31);
  EXPECT_EQ(depth_, 5);
  EXPECT_TRUE(loud_);
  EXPECT_FALSE(Parse({"--count=0x"}).ok());
  EXPECT_FALSE(Parse({"--count=0x123456789"}).ok());
}

TEST_F(FlagsTest, TheLastValueCounts) {
  ASSERT_TRUE(Parse({"--count=3", "--noloud", "--count=4", "--loud"}).ok());
  EXPECT_EQ(count_, 4);
  EXPECT_TRUE(loud_);
}

TEST_F(FlagsTest, TakesBooleansWithoutValue) {
  for (const auto& [text, loud] : {std::pair("--loud", true),
                                   {"--noloud", false},
                                   {"--loud=true", true},
                                   {"--loud=no", false}}) {
    loud_ = !loud;
    ASSERT_TRUE(Parse({text}).ok()) << text;
    EXPECT_EQ(loud_, loud) << text;
  }
}

TEST_F(FlagsTest, AFlagMayHaveAValueForItsNameAlone) {
  ASSERT_TRUE(Parse({"--json"}).ok());
  EXPECT_EQ(json_, "-");
  ASSERT_TRUE(Parse({"--json", "--loud"}).ok());
  EXPECT_EQ(json_, "-");
  ASSERT_TRUE(Parse({"--json", "a.json"}).ok());
  EXPECT_EQ(json_, "a.json");
}

TEST_F(FlagsTest, NamesWhatIsWrong) {
  for (const auto& [args, message] : std::vector<std::pair<std::vector<const char*>, std::string>>{
           {{"--cuont=3"}, "unknown flag --cuont; did you mean --count?"},
           {{"--nocount"}, "unknown flag --nocount"},
           {{"-cuont=3"}, "unknown flag -cuont; did you mean --count?"},
           {{"--size=3"}, "unknown flag --size"},
           {{"--cuont=3", "--help"}, "unknown flag --cuont"},
           {{"--count"}, "--count lacks its value"},
           {{"more"}, "surplus argument 'more'"},
           {{"--", "--count"}, "surplus argument '--count'"},
           {{"--", "--help"}, "surplus argument '--help'"},
           {{"--count=many", "--wait=1"}, "--count: got 'many'"},
           {{"--count=many", "--help"}, "--count: got 'many'"},
           {{"--count=many"}, "--count: got 'many': expected a whole number"},
           {{"--count=3000000000"}, "--count: got '3000000000': expected a whole number"},
           {{"--loud=maybe"}, "--loud: got 'maybe': expected true or false"},
           {{"--wait=10"}, "--wait: got '10': expected a time with its unit"}}) {
    const absl::Status status = Parse(args);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr(message));
  }
}

TEST_F(FlagsTest, AnEmptyValueIsAnErrorUnlessItHasAMeaning) {
  for (const std::vector<const char*>& args :
       std::vector<std::vector<const char*>>{{"--name="},
                                             {"--name", ""},
                                             {"--name=", "x"},
                                             {"--depth="},
                                             {"--loud="},
                                             {"--json="},
                                             {"--count="}}) {
    EXPECT_THAT(std::string(Parse(args).message()),
                AllOf(testing::StartsWith("--"), HasSubstr(": got '', expected a value")));
  }
  ASSERT_TRUE(Parse({"--folder="}).ok());
  EXPECT_EQ(folder_, "");
}

TEST_F(FlagsTest, HelpHasALineForEachFlagUnderItsHeading) {
  const absl::StatusOr<std::string> help = flags_.Parse({{"--help", "--nonsense"}});
  ASSERT_TRUE(help.ok()) << help.status();
  EXPECT_EQ(*help,
            "A test.\n"
            "\nFlags:\n"
            "  --count=7                     how many\n"
            "  --depth=                      how deep\n"
            "  --loud=false                  with noise\n"
            "  --name=                       of the dog\n"
            "  --folder=here                 to look in\n"
            "\nTimes:\n"
            "  --wait=1m30s                  how long\n"
            "  --json[=FILE]                 a file\n");
  EXPECT_EQ(flags_.Help(), *help);
}

TEST_F(FlagsTest, HelpWrapsLongTexts) {
  Flags flags("");
  std::string text = "a default that is long";
  flags.Add("text", &text,
            "It has words, and more words, and a lot more words, until they do not fit.");
  EXPECT_EQ(flags.Help(),
            "\nFlags:\n"
            "  --text=a default that is long\n"
            "                                It has words, and more words, and a lot more\n"
            "                                words, until they do not fit.\n");
}

TEST_F(FlagsTest, FlagsBehindAWrongValueAreReadToo) {
  EXPECT_FALSE(Parse({"--count=many", "--wait=10", "--name=a"}).ok());
  EXPECT_EQ(name_, "a");
  // The errors of one command line do not affect the next command line.
  EXPECT_TRUE(Parse({"--name=b"}).ok());
}

TEST_F(FlagsTest, SizesHaveUnits) {
  int64_t bytes = int64_t{2} << 30;
  flags_.AddBytes("memory", &bytes, "how much");
  EXPECT_THAT(flags_.Help(), HasSubstr("  --memory=2GiB "));
  ASSERT_TRUE(Parse({"--memory=512MiB"}).ok());
  EXPECT_EQ(bytes, int64_t{512} << 20);
  ASSERT_TRUE(Parse({"--memory=1000"}).ok());
  EXPECT_EQ(bytes, 1000);
  EXPECT_EQ(Parse({"--memory=2G"}).message(),
            "--memory: got '2G': expected a size, as 2GiB, 512MiB or 1GB, or a number of bytes");
}

// Sets an environment variable for the life of the object.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { unsetenv(name_); }

 private:
  const char* const name_;
};

TEST_F(FlagsTest, AVariableGivesAValueUnlessTheCommandLineDoes) {
  const Variable count("TEST_COUNT", "3");
  const Variable depth("TEST_DEPTH", "5");
  const Variable loud("TEST_LOUD", "true");
  const Variable folder("TEST_FOLDER", "");
  const Variable wait("TEST_WAIT", "2s");
  const Variable nothing("TEST_NOTHING", "many");
  ASSERT_TRUE(Parse({"--count=4", "--noloud"}).ok());
  ASSERT_TRUE(flags_.ReadEnvironment("TEST_").ok());
  EXPECT_EQ(count_, 4);
  EXPECT_EQ(depth_, 5);
  EXPECT_FALSE(loud_);
  EXPECT_EQ(folder_, "");
  EXPECT_EQ(wait_, absl::Seconds(2));
}

TEST_F(FlagsTest, AnErrorNamesTheVariableAndOtherVariablesAreRead) {
  const Variable count("TEST_COUNT", "many");
  const Variable name("TEST_NAME", "");
  const Variable wait("TEST_WAIT", "2s");
  ASSERT_TRUE(Parse({}).ok());
  EXPECT_EQ(flags_.ReadEnvironment("TEST_").message(),
            "TEST_COUNT: got 'many': expected a whole number of 32 bits");
  EXPECT_EQ(wait_, absl::Seconds(2));
  unsetenv("TEST_COUNT");
  EXPECT_EQ(flags_.ReadEnvironment("TEST_").message(),
            "TEST_NAME: got '', expected a value, or the variable unset");
}

TEST_F(FlagsTest, AGroupMayHaveNoVariables) {
  std::string check;
  flags_.BeginGroup("Other", Flags::Variables::kNone);
  flags_.Add("check", &check, "");
  const Variable variable("TEST_CHECK", "x");
  ASSERT_TRUE(Parse({}).ok());
  ASSERT_TRUE(flags_.ReadEnvironment("TEST_").ok());
  EXPECT_EQ(check, "");
}

TEST_F(FlagsTest, NamesTheSourceOfAValue) {
  const Variable count("TEST_COUNT", "3");
  ASSERT_TRUE(Parse({"--depth=2"}).ok());
  ASSERT_TRUE(flags_.ReadEnvironment("TEST_").ok());
  EXPECT_EQ(flags_.NameSource("count must be 2"), "TEST_COUNT must be 2");
  EXPECT_EQ(flags_.NameSource("depth: too deep"), "--depth: too deep");
  EXPECT_EQ(flags_.NameSource("wait must be short"), "--wait must be short");
  EXPECT_EQ(flags_.NameSource("--count must be 2"), "TEST_COUNT must be 2");
  EXPECT_EQ(flags_.NameSource("--wait must be short"), "--wait must be short");
  for (const char* text : {"counting failed", "the count", "count", ""}) {
    EXPECT_EQ(flags_.NameSource(text), text);
  }
}

TEST(FlagsCommandTest, ACommandHasFlagsAndArgumentsOfItsOwn) {
  std::string file, name;
  std::vector<std::string> names;
  Flags flags("");
  Flags& keys = flags.AddCommand("keys", "");
  Flags& get = keys.AddCommand("get", "gets\n");
  get.AddArgument("NAME", &name);
  get.Add("file", &file, "");
  flags.AddCommand("list", "").AddArguments("NAMES", &names);

  const auto message = [&](const std::vector<const char*>& args) {
    return std::string(flags.Parse(args).status().message());
  };
  EXPECT_EQ(message({}), "a command is required");
  EXPECT_EQ(message({"buy"}), "unknown command 'buy'");
  EXPECT_EQ(message({"buy", "--help"}), "unknown command 'buy'");
  EXPECT_EQ(message({"lits"}), "unknown command 'lits'; did you mean list?");
  EXPECT_EQ(message({"keys", "egt"}), "unknown command 'keys egt'; did you mean keys get?");
  EXPECT_EQ(message({"--file=a", "list"}), "expected a command first, got '--file'");
  EXPECT_EQ(message({"keys", "buy"}), "unknown command 'keys buy'");
  EXPECT_EQ(flags.GivenCommand(), "keys");
  EXPECT_EQ(message({"keys", "get"}), "NAME is required");
  EXPECT_EQ(message({"keys", "get", ""}), "NAME must not be empty");
  EXPECT_EQ(message({"keys", "get", "a", "b"}), "surplus argument 'b'");
  EXPECT_EQ(message({"keys", "get", "a", "list"}), "surplus argument 'list'");
  EXPECT_EQ(message({"list", "a", "--file=b"}), "unknown flag --file");
  EXPECT_EQ(message({"keys", "get", "a", "b", "--help"}), "");

  ASSERT_EQ(message({"keys", "get", "list", "--file=keys"}), "");
  EXPECT_EQ(name, "list");
  EXPECT_EQ(file, "keys");
  EXPECT_EQ(flags.GivenCommand(), "keys get");
  ASSERT_EQ(message({"keys", "get", "--", "--file"}), "");
  EXPECT_EQ(name, "--file");
  for (const char* const text : {"-file", "-file=b", "--file=", "-=", "-h"}) {
    ASSERT_EQ(message({"keys", "get", "--", text}), "");
    EXPECT_EQ(name, text);
    ASSERT_EQ(message({"list", "--", "a", text}), "");
    EXPECT_THAT(names, ElementsAre("a", text));
  }
  ASSERT_EQ(message({"keys", "get", "a", "-file=b"}), "");
  EXPECT_EQ(file, "b");
  ASSERT_EQ(message({"list", "a", "b"}), "");
  EXPECT_THAT(names, ElementsAre("a", "b"));
  EXPECT_THAT(flags.Parse({{"keys", "get", "-h"}}).value(), HasSubstr("gets\n\nFlags:\n  --file="));
}

}  // namespace
}  // namespace qkserve
