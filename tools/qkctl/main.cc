// qkctl, the client tool. It has one subcommand for each job.
//
// Exit codes: 0, it worked; 1, the job failed; 2, wrong usage; 3, the load that was asked for could
// not be sent.

#include <stdlib.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "base/flags.h"
#include "base/standard_streams.h"
#include "qkserve/version.h"
#include "tools/qkctl/commands/commands.h"
#include "tools/qkctl/output/terminal.h"

namespace qkserve {
namespace {

constexpr int kWrongUsage = 2;

// `group` is how the names of the commands to list begin, or empty for all.
std::string Help(const std::vector<Command>& commands, absl::string_view group) {
  std::string help = absl::StrCat(
      "qkctl: dot-product attention scores from a qkserve server.\n\n"
      "Usage: qkctl ",
      group.empty() ? "COMMAND" : absl::StrCat(group, " COMMAND"),
      " [--flag=value ...]\n\n"
      "Commands:\n");
  for (const Command& command : commands) {
    if (!absl::StartsWith(command.name, group)) continue;
    absl::StrAppend(&help, "  ", command.name, command.argument.empty() ? "" : " ",
                    command.argument, "\n      ", command.summary, "\n      ", command.example,
                    "\n");
  }
  ConnectionOptions connection;
  Flags connection_flags("");
  connection.AddFlags(connection_flags);
  absl::StrAppend(&help, connection_flags.Help(),
                  "\n'qkctl COMMAND --help' lists the flags of a command, 'qkctl --version' tells "
                  "the version.\n");
  return help;
}

std::string About(const Command& command) {
  return absl::StrCat("qkctl ", command.name, command.argument.empty() ? "" : " ", command.argument,
                      ": ", command.summary, "\n", command.details, "\nExample:\n  ",
                      command.example, "\n", command.more_examples);
}

// Shows the mistake. `command` is empty if no command was recognised.
int ShowWrongUsage(absl::string_view command, absl::string_view message) {
  absl::FPrintF(stderr, "error: %s\nSee 'qkctl %s%s--help'.\n", Printable(message), command,
                command.empty() ? "" : " ");
  return kWrongUsage;
}

// Output may still be in a buffer: a full disk shows only here.
absl::Status FlushOutput() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, "cannot write to standard output");
}

int RunCommand(const Command& command) {
  absl::Status status = command.validate();
  if (!status.ok()) return ShowWrongUsage(command.name, status.message());
  status = command.run();
  if (status.ok()) status = FlushOutput();
  if (!status.ok()) {
    absl::FPrintF(stderr, "error: %s: %s\n", absl::StatusCodeToString(status.code()),
                  Printable(status.message()));
  }
  return ExitCodeOf(status);
}

int Main(absl::Span<const char* const> args) {
  const std::vector<Command> commands = {ScoreCommand(),   KeysPutCommand(),  KeysAppendCommand(),
                                         KeysGetCommand(), KeysListCommand(), KeysDeleteCommand(),
                                         StatusCommand(),  LoadCommand()};
  const absl::string_view first = args.empty() ? "" : args[0];
  if (first == "--version") {
    std::printf("qkctl %s\n", kVersion);
    return 0;
  }
  std::vector<const char*> words(args.begin(), args.end());
  // "help COMMAND" is "COMMAND --help", and a group alone asks for its commands.
  if (first == "help") words.erase(words.begin());
  if (first == "help" || (first == "keys" && words.size() == 1)) words.push_back("--help");
  Flags flags(Help(commands, ""));
  Flags& keys = flags.AddCommand("keys", Help(commands, "keys"));
  for (const Command& command : commands) {
    absl::string_view name = command.name;
    const bool is_of_keys = absl::ConsumePrefix(&name, "keys ");
    command.add_flags((is_of_keys ? keys : flags).AddCommand(std::string(name), About(command)));
  }
  const absl::StatusOr<std::string> help = flags.Parse(words);
  if (!help.ok()) return ShowWrongUsage(flags.GivenCommand(), help.status().message());
  if (!help->empty()) {
    std::fputs(help->c_str(), stdout);
    return 0;
  }
  const std::string given = flags.GivenCommand();
  for (const Command& command : commands) {
    if (command.name == given) return RunCommand(command);
  }
  return ShowWrongUsage("", "a command is required");
}

}  // namespace
}  // namespace qkserve

int main(int argc, char** argv) {
  qkserve::OpenClosedStandardStreams(qkserve::ClosedOutput::kFail);
  // Errors contain what gRPC logs about a connection that fails.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  return qkserve::Main(absl::MakeConstSpan(argv + 1, argc > 0 ? argc - 1 : 0));
}
