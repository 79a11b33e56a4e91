// qkctl, the client tool. It has one subcommand for each job.
//
// Exit codes: 0, it worked; 1, the job failed; 2, wrong usage; 3, the load that was asked for could
// not be sent.

#include <signal.h>
#include <stdlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "base/flags.h"
#include "base/standard_streams.h"
#include "tools/qkctl/commands/commands.h"
#include "tools/qkctl/help.h"
#include "tools/qkctl/output/terminal.h"

namespace qkserve {
namespace {

constexpr int kWrongUsage = 2;

// Shows the mistake and returns the exit code. `command` is empty if no command was recognised.
int ShowWrongUsage(absl::string_view command, absl::string_view message) {
  absl::FPrintF(stderr, "error: %s\nSee 'qkctl %s%s--help'.\n", Printable(message), command,
                command.empty() ? "" : " ");
  return kWrongUsage;
}

// Shows `status` if it is an error, and returns the exit code. A closed pipe gives no message,
// because its reader closed it on purpose.
int Conclude(const absl::Status& status) {
  if (!status.ok() && !IsClosedPipe(status)) {
    absl::FPrintF(stderr, "error: %s: %s\n", absl::StatusCodeToString(status.code()),
                  Printable(status.message()));
  }
  return ExitCodeOf(status);
}

int Print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  return Conclude(FlushStandardOutput());
}

int RunCommand(const Command& command, Flags& flags) {
  absl::Status status = flags.ReadEnvironment("QKCTL_");
  status.Update(command.validate());
  if (!status.ok()) return ShowWrongUsage(command.name, flags.NameSource(status.message()));
  status = command.run();
  if (status.ok()) status = FlushStandardOutput();
  return Conclude(status);
}

// Moves flags that stand before the command to the place after it, where they belong. A word after
// a flag without '=' is the flag's value, unless it is the name of a command.
std::vector<const char*> WithFlagsBehind(absl::Span<const char* const> args,
                                         absl::Span<const Command> commands) {
  const auto is_command = [commands](absl::string_view word) {
    return absl::c_any_of(commands, [word](const Command& command) {
      return absl::StartsWith(absl::StrCat(command.name, " "), absl::StrCat(word, " "));
    });
  };
  size_t begin = 0;  // index of the command
  for (bool may_be_value = false; begin < args.size(); ++begin) {
    const absl::string_view word = args[begin];
    const bool is_flag = absl::StartsWith(word, "-") && word != "--";
    if (!is_flag && (!may_be_value || is_command(word))) break;
    may_be_value = is_flag && !absl::StrContains(word, "=");
  }
  size_t end = std::min(begin + 1, args.size());
  if (begin == args.size() || !is_command(args[begin])) begin = end = 0;
  const bool has_two_words = begin < end && absl::string_view(args[begin]) == "keys";
  if (has_two_words && end < args.size() && args[end][0] != '-') ++end;
  std::vector<const char*> words(args.begin() + begin, args.begin() + end);
  words.insert(words.end(), args.begin(), args.begin() + begin);
  words.insert(words.end(), args.begin() + end, args.end());
  return words;
}

// Turns "help COMMAND" into "COMMAND --help", "--version" into "version", and "keys" alone into
// "keys --help".
std::vector<const char*> Normalized(std::vector<const char*> words) {
  if (words.empty()) return words;
  const absl::string_view first = words[0];
  if (first == "--version") words[0] = "version";
  if (first == "help") {
    words.erase(words.begin());
    if (words.size() == 1 && absl::string_view(words[0]) == "help") words.clear();
    words.push_back("--help");
  } else if (first == "keys" && words.size() == 1) {
    words.push_back("--help");
  }
  return words;
}

// Returns the first word of "help COMMAND ..." that does not belong to the name of the command that
// was recognised, or "".
std::string SurplusHelpWord(absl::Span<const char* const> words, absl::string_view command) {
  if (words.empty() || absl::string_view(words[0]) != "help" || command.empty()) return "";
  const std::vector<absl::string_view> names = absl::StrSplit(command, ' ');
  const size_t surplus = 1 + names.size();
  for (size_t i = 1; i < words.size() && words[i][0] != '-'; ++i) {
    if (i == surplus) return words[i];
  }
  return "";
}

// Returns the message for a wrong command line. CLI11 takes a surplus argument after "--" for an
// unknown command. If there is a command already, the message says "surplus argument" instead.
std::string UsageText(absl::string_view message, bool has_command) {
  absl::string_view word = message;
  if (!has_command || !absl::ConsumePrefix(&word, "unknown command '")) return std::string(message);
  absl::ConsumePrefix(&word, "keys ");
  return absl::StrCat("surplus argument '", word.substr(0, word.find('\'')), "'");
}

int Main(absl::Span<const char* const> args) {
  const std::vector<Command> commands = AllCommands();
  Flags flags(HelpOfCommands(commands, ""));
  Flags& keys = flags.AddCommand("keys", HelpOfCommands(commands, "keys"));
  std::vector<Flags*> flags_of_commands;
  for (const Command& command : commands) {
    absl::string_view name = command.name;
    const bool is_of_keys = absl::ConsumePrefix(&name, "keys ");
    flags_of_commands.push_back(
        &(is_of_keys ? keys : flags).AddCommand(std::string(name), HelpAboveFlags(command)));
    command.add_flags(*flags_of_commands.back());
  }
  const std::vector<const char*> words = WithFlagsBehind(args, commands);
  const absl::StatusOr<std::string> help = flags.Parse(Normalized(words));
  const std::string given = flags.GivenCommand();
  const auto command = absl::c_find_if(commands, [&](const auto& c) { return c.name == given; });
  const bool has_command = command != commands.end();
  if (!help.ok()) return ShowWrongUsage(given, UsageText(help.status().message(), has_command));
  if (const std::string surplus = SurplusHelpWord(words, given); !surplus.empty()) {
    return ShowWrongUsage(given, absl::StrCat("surplus argument '", surplus, "'"));
  }
  if (!help->empty()) return Print(*help);
  if (!has_command) return ShowWrongUsage("", "a command is required");
  return RunCommand(*command, *flags_of_commands[command - commands.begin()]);
}

}  // namespace
}  // namespace qkserve

int main(int argc, char** argv) {
  qkserve::OpenClosedStandardStreams();
  // A write to a closed pipe must fail without ending the process, because a load still removes the
  // key sets that it made.
  signal(SIGPIPE, SIG_IGN);
  // gRPC's log is off, because errors contain what gRPC logs about a connection that fails.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  return qkserve::Main(absl::MakeConstSpan(argv + 1, argc > 0 ? argc - 1 : 0));
}
