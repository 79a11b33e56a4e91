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

// Makes `status`, which is an error, end qkctl with `code` instead of 1.
inline absl::Status WithExitCode(absl::Status status, int code) {
  status.SetPayload(kExitCodePayload, absl::Cord(absl::StrCat(code)));
  return status;
}

// 0 for OK, otherwise 1 unless WithExitCode said something else.
inline int ExitCodeOf(const absl::Status& status) {
  int code = status.ok() ? 0 : 1;
  const absl::optional<absl::Cord> payload = status.GetPayload(kExitCodePayload);
  if (payload.has_value() && !absl::SimpleAtoi(std::string(*payload), &code)) code = 1;
  return code;
}

// A command of qkctl. Its options are a struct, which the three functions share.
struct Command {
  absl::string_view name = "";      // may have two words: "keys put"
  absl::string_view argument = "";  // the one argument that the command takes, "NAME"; empty: none

  // The values that the argument may have, for completion; empty: any.
  std::vector<std::string> choices = {};

  // Texts for --help, in lines of at most 80 columns: one line, paragraphs below it, and whole
  // command lines. The list of commands also shows `summary` and `example`.
  absl::string_view summary = "";
  absl::string_view details = "";
  absl::string_view example = "";
  absl::string_view more_examples = "";

  // Adds the command's flags, and its argument. They fill the options.
  std::function<void(Flags&)> add_flags = nullptr;

  // INVALID_ARGUMENT: wrong usage. Touches no file and no network.
  std::function<absl::Status()> validate = nullptr;

  std::function<absl::Status()> run = nullptr;
};

// How a command reaches the server. Every command that asks one has these. Each flag also has an
// environment variable: QKCTL_SERVER for --server.
struct ConnectionOptions {
  ClientOptions client;                        // has no TLS: ForClient adds it
  absl::Duration timeout = absl::Seconds(60);  // limit of one call
  bool use_tls = false;
  TlsOptions tls;

  void AddFlags(Flags& flags);

  // INVALID_ARGUMENT names the flag.
  absl::Status Validate() const;

  // The files that are read.
  std::vector<FlagFile> Inputs() const;

  // The options of the client, with TLS if the flags ask for it.
  ClientOptions ForClient() const;
};

// RESOURCE_EXHAUSTED: the process may not have the threads that gRPC starts. Or the errors of
// Client::Create.
absl::StatusOr<std::unique_ptr<Client>> MakeClient(const ConnectionOptions& options);

// The options that every command has. Those of a command derive from it and may hide the functions.
struct CommandOptions {
  std::string name;  // the argument
  ConnectionOptions connection;

  void AddFlags(Flags& /*flags*/) {}
  absl::Status Validate() const { return absl::OkStatus(); }

  // The files that the command reads, beside those of the connection, and those that it writes.
  std::vector<FlagFile> Inputs() const { return {}; }
  std::vector<FlagFile> Outputs() const { return {}; }
};

// Lets a command have `Options`.
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
    return options->Validate();
  };
  command.run = [options, run] {
    std::vector<FlagFile> inputs = options->Inputs();
    for (FlagFile& file : options->connection.Inputs()) inputs.push_back(std::move(file));
    RETURN_IF_ERROR(CheckOutputs(options->Outputs(), inputs));
    return run(*options);
  };
  return command;
}

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMMAND_H_
