#include "tools/qkctl/help.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace qkserve {
namespace {

constexpr absl::string_view kEnd = R"(
'qkctl help COMMAND' lists the flags of a command. Exit codes: 0, it worked;
1, the job failed; 2, wrong usage; 3, the load that was asked for was not sent.
)";

std::string NameAndArgument(const Command& command) {
  return absl::StrCat(command.name, command.argument.empty() ? "" : " ", command.argument);
}

}  // namespace

std::string HelpOfCommands(absl::Span<const Command> commands, absl::string_view group) {
  std::string help = absl::StrCat(
      "qkctl: dot-product attention scores from a qkserve server.\n\n"
      "Usage: qkctl ",
      group, group.empty() ? "" : " ", "COMMAND [--flag=value ...]\n\nCommands:\n");
  for (const Command& command : commands) {
    if (!absl::StartsWith(command.name, group)) continue;
    absl::StrAppend(&help, "  ", NameAndArgument(command), "\n      ", command.summary, "\n      ",
                    command.example, "\n");
  }
  ConnectionOptions connection;
  Flags connection_flags("");
  connection.AddFlags(connection_flags);
  absl::StrAppend(&help, connection_flags.Help(), kEnd);
  return help;
}

std::string HelpAboveFlags(const Command& command) {
  return absl::StrCat("qkctl ", NameAndArgument(command), "\n", command.summary, "\n",
                      command.details.empty() ? "" : "\n", command.details, "\nExamples:\n  ",
                      command.example, "\n", command.more_examples);
}

}  // namespace qkserve
