// qkctl, the client tool: one subcommand a job.
//
// Exit codes: 0; 1 where the job failed; 2 for wrong usage; 3 where the load that was asked for
// could not be sent.

#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/commandlineflag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/command_line.h"
#include "base/standard_streams.h"
#include "qkserve/version.h"
#include "tools/qkctl/command.h"
#include "tools/qkctl/commands/keys.h"
#include "tools/qkctl/commands/keys_upload.h"
#include "tools/qkctl/commands/load.h"
#include "tools/qkctl/commands/score.h"
#include "tools/qkctl/commands/status.h"
#include "tools/qkctl/flags/json_flag.h"
#include "tools/qkctl/flags/shared_flags.h"

namespace qkserve {
namespace {

constexpr int kWrongUsage = 2;

bool IsSharedFlag(const absl::CommandLineFlag& flag) {
  return FlagIsDefinedIn(flag, kSharedFlagsFile);
}

bool IsFlagOf(const Command& command, const absl::CommandLineFlag& flag) {
  return std::any_of(command.flag_files.begin(), command.flag_files.end(),
                     [&flag](absl::string_view file) { return FlagIsDefinedIn(flag, file); });
}

bool IsIn(const Command& command, absl::string_view group) {
  return absl::StartsWith(command.name, absl::StrCat(group, " "));
}

// `group` is the first word of the names of the commands to list, or empty for all.
std::string Help(const std::vector<Command>& commands, absl::string_view group) {
  std::string help = absl::StrCat(
      "qkctl: dot-product attention scores from a qkserve server.\n\n"
      "Usage: qkctl ",
      group.empty() ? "COMMAND" : absl::StrCat(group, " COMMAND"),
      " [--flag=value ...]\n\n"
      "Commands:\n");
  for (const Command& command : commands) {
    if (!group.empty() && !IsIn(command, group)) continue;
    absl::StrAppend(&help, "  ", command.name, command.argument.empty() ? "" : " ",
                    command.argument, "\n      ", command.summary, "\n      ", command.example,
                    "\n");
  }
  absl::StrAppend(&help, "\nFlags of every command:\n", FlagHelp(IsSharedFlag),
                  "\n'qkctl COMMAND --help' lists the flags of a command, 'qkctl --version' tells "
                  "the version.\n");
  return help;
}

std::string CommandHelp(const Command& command) {
  const auto is_own = [&command](const auto& flag) { return IsFlagOf(command, flag); };
  const std::string own = FlagHelp(is_own);
  return absl::StrCat("qkctl ", command.name, command.argument.empty() ? "" : " ", command.argument,
                      ": ", command.summary, "\n", command.details, "\nExample:\n  ",
                      command.example, "\n", command.more_examples, own.empty() ? "" : "\nFlags:\n",
                      own, "\nFlags of every command:\n", FlagHelp(IsSharedFlag));
}

// `command` is empty where none was recognised.
int WrongUsage(absl::string_view command, absl::string_view message) {
  absl::FPrintF(stderr, "error: %s\nSee 'qkctl %s%s--help'.\n", Printable(message), command,
                command.empty() ? "" : " ");
  return kWrongUsage;
}

int Failed(const absl::Status& status) {
  absl::FPrintF(stderr, "error: %s: %s\n", absl::StatusCodeToString(status.code()),
                Printable(status.message()));
  return ExitCodeOf(status);
}

// What was printed may still wait in a buffer: a full disk shows here.
absl::Status FlushOutput() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, "cannot write to standard output");
}

absl::Status CheckArguments(const Command& command, const std::vector<std::string>& arguments) {
  const size_t expected = command.argument.empty() ? 0 : 1;
  if (arguments.size() > expected) {
    return absl::InvalidArgumentError(absl::StrCat("surplus argument '", arguments[expected], "'"));
  }
  if (arguments.size() < expected || (expected == 1 && arguments[0].empty())) {
    return absl::InvalidArgumentError(absl::StrCat(command.argument, " is required"));
  }
  return absl::OkStatus();
}

int RunCommand(const Command& command, absl::Span<const char* const> args) {
  const std::vector<const char*> expanded = ExpandBareJson(args);
  const auto is_known = [&command](const absl::CommandLineFlag& flag) {
    return IsSharedFlag(flag) || IsFlagOf(command, flag);
  };
  absl::StatusOr<CommandLine> line = ParseCommandLine(expanded, is_known);
  if (!line.ok()) return WrongUsage(command.name, line.status().message());
  if (line->help) {
    std::fputs(CommandHelp(command).c_str(), stdout);
    return 0;
  }
  absl::Status status = CheckArguments(command, line->arguments);
  if (!status.ok()) return WrongUsage(command.name, status.message());
  status = CheckSharedFlags();
  if (status.ok()) status = command.check_flags();
  if (!status.ok()) return WrongUsage(command.name, status.message());

  status = command.run(command.argument.empty() ? "" : line->arguments[0]);
  if (status.ok()) status = FlushOutput();
  return status.ok() ? 0 : Failed(status);
}

// `args` are those behind `group`, "keys" for example.
int RunGroup(const std::vector<Command>& commands, absl::string_view group,
             absl::Span<const char* const> args) {
  const absl::string_view first = args.empty() ? "--help" : args[0];
  if (first == "--help" || first == "-h") {
    std::fputs(Help(commands, group).c_str(), stdout);
    return 0;
  }
  const std::string name = absl::StrCat(group, " ", first);
  for (const Command& command : commands) {
    if (name == command.name) return RunCommand(command, args.subspan(1));
  }
  return WrongUsage(group, absl::StrCat("unknown command '", name, "'"));
}

int Main(absl::Span<const char* const> args) {
  const std::vector<Command> commands = {ScoreCommand(),   KeysPutCommand(),  KeysAppendCommand(),
                                         KeysGetCommand(), KeysListCommand(), KeysDeleteCommand(),
                                         StatusCommand(),  LoadCommand()};
  if (args.empty()) return WrongUsage("", "a command is required");
  const absl::string_view first = args[0];
  if (first == "--help" || first == "-h") {
    std::fputs(Help(commands, "").c_str(), stdout);
    return 0;
  }
  if (first == "--version") {
    std::printf("qkctl %s\n", kVersion);
    return 0;
  }
  if (absl::StartsWith(first, "-")) {
    return WrongUsage("", absl::StrCat("expected a command first, got '", first, "'"));
  }
  for (const Command& command : commands) {
    if (first == command.name) return RunCommand(command, args.subspan(1));
    if (IsIn(command, first)) return RunGroup(commands, first, args.subspan(1));
  }
  return WrongUsage("", absl::StrCat("unknown command '", first, "'"));
}

}  // namespace
}  // namespace qkserve

int main(int argc, char** argv) {
  qkserve::OpenClosedStandardStreams(qkserve::ClosedOutput::kFail);
  // What gRPC would log about a connection that fails is in the error, too.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  return qkserve::Main(absl::MakeConstSpan(argv + 1, argc > 0 ? argc - 1 : 0));
}
