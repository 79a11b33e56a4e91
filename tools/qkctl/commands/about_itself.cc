// The commands that ask no server (version, completion and help), and the list of all commands.

#include <array>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "base/invalid_argument.h"
#include "qkserve/version.h"
#include "tools/qkctl/commands/commands.h"
#include "tools/qkctl/completion/command_words.h"
#include "tools/qkctl/completion/shell_scripts.h"

namespace qkserve {
namespace {

using Script = std::string (*)(absl::Span<const CommandWords> commands);

constexpr std::array<std::pair<const char*, Script>, 3> kScripts = {
    {{"bash", &BashCompletion}, {"zsh", &ZshCompletion}, {"fish", &FishCompletion}}};

Script FindScript(absl::string_view shell) {
  const auto* const found =
      absl::c_find_if(kScripts, [shell](const auto& script) { return script.first == shell; });
  return found == kScripts.end() ? nullptr : found->second;
}

std::string AllWords(absl::string_view shell) {
  std::vector<CommandWords> words;
  for (const Command& command : AllCommands()) words.push_back(WordsOf(command));
  return FindScript(shell)(words);
}

constexpr absl::string_view kCompletionDetails =
    R"(The packages install it. Without them, add a line to the shell's start file:
  bash  source <(qkctl completion bash)
  zsh   source <(qkctl completion zsh)      # behind compinit
  fish  qkctl completion fish | source
)";

}  // namespace

std::vector<Command> AllCommands() {
  return {ScoreCommand(),    KeysPutCommand(),    KeysAppendCommand(), KeysGetCommand(),
          KeysListCommand(), KeysDeleteCommand(), StatusCommand(),     LoadCommand(),
          VersionCommand(),  CompletionCommand(), HelpCommand()};
}

Command VersionCommand() {
  Command command = {.name = "version",
                     .summary = "Shows the version of qkctl; 'qkctl status' shows the server's.",
                     .example = "qkctl version"};
  command.add_flags = [](Flags&) {};
  command.validate = [] { return absl::OkStatus(); };
  command.run = [] {
    std::printf("qkctl %s\n", kVersion);
    return absl::OkStatus();
  };
  return command;
}

Command CompletionCommand() {
  Command command = {.name = "completion",
                     .argument = "SHELL",
                     .choices = {"bash", "zsh", "fish"},
                     .summary = "Prints the script that makes a shell complete command lines.",
                     .details = kCompletionDetails,
                     .example = "qkctl completion bash"};
  const auto shell = std::make_shared<std::string>();
  command.add_flags = [shell](Flags& flags) { flags.AddArgument("SHELL", shell.get()); };
  command.validate = [shell] {
    return FindScript(*shell) != nullptr
               ? absl::OkStatus()
               : InvalidArgument("SHELL: got '", *shell, "', expected bash, zsh or fish");
  };
  command.run = [shell] {
    std::fputs(AllWords(*shell).c_str(), stdout);
    return absl::OkStatus();
  };
  return command;
}

Command HelpCommand() {
  Command command = {.name = "help",
                     .argument = "[COMMAND]",
                     .choices = {"score", "keys", "status", "load", "version", "completion"},
                     .summary = "Lists the commands, or explains one with its flags.",
                     .example = "qkctl help keys put"};
  command.add_flags = [](Flags&) {};
  command.validate = [] { return absl::OkStatus(); };
  command.run = [] { return absl::OkStatus(); };
  return command;
}

}  // namespace qkserve
