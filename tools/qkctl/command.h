#ifndef QKSERVE_TOOLS_QKCTL_COMMAND_H_
#define QKSERVE_TOOLS_QKCTL_COMMAND_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/flags.h"
#include "base/status_macros.h"
#include "qkserve/client.h"
#include "tools/qkctl/output/file_output.h"

namespace qkserve {

inline constexpr absl::string_view kExitCodePayload = "qkserve/exit_code";

// Returns the error `status` with a payload that makes qkctl exit with `code` instead of 1.
inline absl::Status WithExitCode(absl::Status status, int code) {
  status.SetPayload(kExitCodePayload, absl::Cord(absl::StrCat(code)));
  return status;
}

// Returns 0 for OK, the code of WithExitCode if it was called, and otherwise 1.
inline int ExitCodeOf(const absl::Status& status) {
  int code = status.ok() ? 0 : 1;
  const absl::optional<absl::Cord> payload = status.GetPayload(kExitCodePayload);
  if (payload.has_value() && !absl::SimpleAtoi(std::string(*payload), &code)) code = 1;
  return code;
}

// A command of qkctl. Its three functions share a struct of options.
struct Command {
  absl::string_view name = "";      // may have two words: "keys put"
  absl::string_view argument = "";  // the only argument, such as "NAME"; empty if there is none

  // The values that the argument may have, for completion. Empty: any value.
  std::vector<std::string> choices = {};

  // Texts for --help, in lines of at most 80 columns. `summary` is one line, `details` are
  // paragraphs below it, and the examples are whole command lines. The list of commands shows
  // `summary` and `example`.
  absl::string_view summary = "";
  absl::string_view details = "";
  absl::string_view example = "";
  absl::string_view more_examples = "";

  // Adds the command's flags and its argument. Parsing the flags fills the options.
  std::function<void(Flags&)> add_flags = nullptr;

  // Checks the options. Opens no file and uses no network. INVALID_ARGUMENT: wrong usage.
  std::function<absl::Status()> validate = nullptr;

  std::function<absl::Status()> run = nullptr;
};

// How a command reaches the server. Every command that asks a server has these flags. Each flag has
// an environment variable, such as QKCTL_SERVER for --server.
struct ConnectionOptions {
  ClientOptions client;                        // without TLS, which ForClient adds
  absl::Duration timeout = absl::Seconds(60);  // limit of one call
  bool use_tls = false;
  TlsOptions tls;

  void AddFlags(Flags& flags);

  // Checks the options. INVALID_ARGUMENT names the flag.
  absl::Status Validate() const;

  // Returns the files that the connection reads.
  std::vector<FlagFile> Inputs() const;

  // Returns the options of the client, with TLS if the flags ask for it.
  ClientOptions ForClient() const;
};

// Makes a client. RESOURCE_EXHAUSTED: the process may not start the threads that gRPC needs. Other
// errors are those of Client::Create.
absl::StatusOr<std::unique_ptr<Client>> MakeClient(const ConnectionOptions& options);

// Returns the status of a call or request. DEADLINE_EXCEEDED also advises a larger --timeout.
absl::Status WithTimeout(const absl::Status& status, absl::Duration timeout);

// The options that every command has. The options of a command derive from this struct and may hide
// its functions.
struct CommandOptions {
  // True if --timeout limits every call of the command.
  static constexpr bool kTimeoutLimitsAll = true;

  std::string name;  // the argument
  ConnectionOptions connection;

  void AddFlags(Flags& /*flags*/) {}
  absl::Status Validate() const { return absl::OkStatus(); }

  // Return the files that the command reads, without those of the connection, and the files that it
  // writes.
  std::vector<FlagFile> Inputs() const { return {}; }
  std::vector<FlagFile> Outputs() const { return {}; }
};

// Returns `command` with options of type `Options`. The command calls `run` with them.
template <typename Options>
Command WithOptions(Command command, absl::Status (*run)(const Options&)) {
  const auto options = std::make_shared<Options>();
  const std::string argument(command.argument);
  command.add_flags = [options, argument](Flags& flags) {
    if (!argument.empty()) flags.AddArgument(argument, &options->name);
    flags.BeginGroup("Flags", Flags::Variables::kNone);
    options->AddFlags(flags);
    options->connection.AddFlags(flags);
  };
  command.validate = [options] {
    RETURN_IF_ERROR(options->connection.Validate());
    RETURN_IF_ERROR(options->Validate());
    std::vector<FlagFile> inputs = options->Inputs();
    for (FlagFile& file : options->connection.Inputs()) inputs.push_back(std::move(file));
    return CheckDistinct(options->Outputs(), inputs);
  };
  command.run = [options, run] {
    RETURN_IF_ERROR(CheckOutputs(options->Outputs()));
    const absl::Status status = run(*options);
    return Options::kTimeoutLimitsAll ? WithTimeout(status, options->connection.timeout) : status;
  };
  return command;
}

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMMAND_H_
