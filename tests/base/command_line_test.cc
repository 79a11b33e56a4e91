#include "base/command_line.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

ABSL_FLAG(int, test_count, 7, "how many");
ABSL_FLAG(bool, test_loud, false, "with noise");
ABSL_FLAG(std::optional<int>, test_depth, std::nullopt, "how deep");
ABSL_FLAG(std::string, test_name, "", "of whom");

namespace qkserve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

bool IsOurs(const absl::CommandLineFlag& flag) {
  return FlagIsDefinedIn(flag, "command_line_test.cc");
}

absl::StatusOr<CommandLine> Parse(std::vector<const char*> args) {
  return ParseCommandLine(args, IsOurs);
}

class CommandLineTest : public testing::Test {
  const absl::FlagSaver saver_;
};

TEST_F(CommandLineTest, TakesValuesInBothForms) {
  ASSERT_TRUE(Parse({"--test_count=3", "--test_name", "ann"}).ok());
  EXPECT_EQ(absl::GetFlag(FLAGS_test_count), 3);
  EXPECT_EQ(absl::GetFlag(FLAGS_test_name), "ann");
  ASSERT_TRUE(Parse({"--test_name=a=b"}).ok());
  EXPECT_EQ(absl::GetFlag(FLAGS_test_name), "a=b");
}

TEST_F(CommandLineTest, TakesBooleansWithoutValue) {
  ASSERT_TRUE(Parse({"--test_loud"}).ok());
  EXPECT_TRUE(absl::GetFlag(FLAGS_test_loud));
  ASSERT_TRUE(Parse({"--notest_loud"}).ok());
  EXPECT_FALSE(absl::GetFlag(FLAGS_test_loud));
  ASSERT_TRUE(Parse({"--test_loud=true"}).ok());
  EXPECT_TRUE(absl::GetFlag(FLAGS_test_loud));
}

TEST_F(CommandLineTest, KeepsArguments) {
  const absl::StatusOr<CommandLine> line = Parse({"run", "--test_loud", "-", "--", "--test_count"});
  ASSERT_TRUE(line.ok());
  EXPECT_THAT(line->arguments, ElementsAre("run", "-", "--test_count"));
}

TEST_F(CommandLineTest, NamesWhatIsWrong) {
  EXPECT_THAT(Parse({"--test_cuont=3"}).status().message(), HasSubstr("--test_cuont"));
  EXPECT_THAT(Parse({"--test_count=many"}).status().message(), HasSubstr("'many'"));
  EXPECT_THAT(Parse({"--test_count"}).status().message(), HasSubstr("lacks its value"));
  EXPECT_THAT(Parse({"--notest_count"}).status().message(), HasSubstr("unknown flag"));
}

TEST_F(CommandLineTest, AnEmptyValueIsAnErrorUnlessItHasAMeaning) {
  for (const std::vector<const char*>& args : {std::vector<const char*>{"--test_name="},
                                               {"--test_name", ""},
                                               {"--test_depth="},
                                               {"--test_loud="},
                                               {"--test_count="}}) {
    const absl::Status status = Parse(args).status();
    EXPECT_THAT(status.message(), testing::AllOf(HasSubstr("--test_"), HasSubstr("got ''")));
  }
  constexpr absl::string_view kMayBeEmpty[] = {"test_name"};
  const char* const args[] = {"--test_name="};
  absl::SetFlag(&FLAGS_test_name, "ann");
  EXPECT_TRUE(ParseCommandLine(args, IsOurs, kMayBeEmpty).ok());
  EXPECT_EQ(absl::GetFlag(FLAGS_test_name), "");
}

TEST_F(CommandLineTest, DoesNotKnowFlagsOfOtherFiles) {
  EXPECT_FALSE(Parse({"--flagfile=x"}).ok());
  EXPECT_THAT(FlagHelp(IsOurs), HasSubstr("--test_count=7\n      how many"));
  EXPECT_THAT(FlagHelp(IsOurs), Not(HasSubstr("flagfile")));
}

TEST_F(CommandLineTest, HelpWinsOverWhatFollows) {
  const absl::StatusOr<CommandLine> line = Parse({"--help", "--nonsense"});
  ASSERT_TRUE(line.ok());
  EXPECT_TRUE(line->help);
}

}  // namespace
}  // namespace qkserve
