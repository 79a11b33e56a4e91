#include "tools/qkctl/help.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "tools/qkctl/commands/commands.h"
#include "tools/qkctl/completion/command_words.h"

namespace qkserve {
namespace {

// Returns the number of columns that a line of UTF-8 takes.
size_t Columns(const std::string& line) {
  return static_cast<size_t>(
      std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

void ExpectFits(const std::string& text) {
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(text, '\n'))) {
    EXPECT_LE(Columns(line), 80u) << line;
  }
}

TEST(HelpTest, FitsATerminal) {
  const std::vector<Command> commands = AllCommands();
  ExpectFits(HelpOfCommands(commands, ""));
  ExpectFits(HelpOfCommands(commands, "keys"));
  for (const Command& command : commands) {
    Flags flags(HelpAboveFlags(command));
    command.add_flags(flags);
    ExpectFits(flags.Help());
  }
}

TEST(HelpTest, EveryCommandHasAnExampleOfItself) {
  for (const Command& command : AllCommands()) {
    EXPECT_TRUE(absl::StrContains(HelpAboveFlags(command),
                                  absl::StrCat("\nExamples:\n  qkctl ", command.name)));
  }
}

TEST(HelpTest, TheManualPageHasEveryCommandAndEveryVariable) {
  std::ifstream file(MANUAL_PAGE);
  std::string page(std::istreambuf_iterator<char>(file), {});
  ASSERT_NE(page, "");
  page = absl::StrReplaceAll(page, {{"\\-", "-"}, {"\\fR", ""}, {"\\fB", ""}, {"\\fI", ""}});
  for (const Command& command : AllCommands()) {
    EXPECT_TRUE(absl::StrContains(page, absl::StrCat("\n.B ", command.name))) << command.name;
  }
  ConnectionOptions connection;
  Command connect = {.name = "connect"};
  connect.add_flags = [&connection](Flags& added) { connection.AddFlags(added); };
  for (const FlagWords& flag : WordsOf(connect).flags) {
    EXPECT_TRUE(absl::StrContains(page, absl::StrCat("\n.B --", flag.name))) << flag.name;
    EXPECT_TRUE(absl::StrContains(page, absl::StrCat("QKCTL_", absl::AsciiStrToUpper(flag.name))))
        << flag.name;
  }
}

}  // namespace
}  // namespace qkserve
