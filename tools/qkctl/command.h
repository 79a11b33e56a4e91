#ifndef QKSERVE_TOOLS_QKCTL_COMMAND_H_
#define QKSERVE_TOOLS_QKCTL_COMMAND_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/flags.h"

namespace qkserve {

// `status`, an error, for a command that is to end qkctl with another code than 1.
absl::Status WithExitCode(absl::Status status, int code);

// 0 for OK, otherwise 1 unless WithExitCode said something else.
int ExitCodeOf(const absl::Status& status);

// A command of qkctl. Its options are a struct, which the three functions share.
struct Command {
  absl::string_view name;      // may have two words: "keys put"
  absl::string_view argument;  // of which there is one, "NAME"; empty where there is none

  // Texts for --help: one line; paragraphs below it; whole command lines. The list of commands
  // shows the first and `example` as well.
  absl::string_view summary;
  absl::string_view details = "";
  absl::string_view example;
  absl::string_view more_examples = "";

  // Adds its flags, and the argument, which fill the options.
  std::function<void(Flags&)> add_flags;

  // INVALID_ARGUMENT: wrong usage. Touches no file and no network.
  std::function<absl::Status()> validate;

  std::function<absl::Status()> run;
};

// Lets a command have `Options`, with members AddFlags(Flags&) and Validate() const.
template <typename Options>
Command WithOptions(Command command, absl::Status (*run)(const Options&)) {
  const auto options = std::make_shared<Options>();
  command.add_flags = [options](Flags& flags) { options->AddFlags(flags); };
  command.validate = [options] { return options->Validate(); };
  command.run = [options, run] { return run(*options); };
  return command;
}

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMMAND_H_
