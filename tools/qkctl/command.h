#ifndef QKSERVE_TOOLS_QKCTL_COMMAND_H_
#define QKSERVE_TOOLS_QKCTL_COMMAND_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace qkserve {

// `status`, an error, for a command that is to end qkctl with another code than 1.
absl::Status WithExitCode(absl::Status status, int code);

// 0 for OK, otherwise 1 unless WithExitCode said something else.
int ExitCodeOf(const absl::Status& status);

// A subcommand of qkctl. Its flags are Abseil's, defined beside it; those of commands that do not
// run keep their defaults.
struct Command {
  absl::string_view name;     // may have two words: "keys put"
  absl::string_view summary;  // one line
  absl::string_view example;  // a whole command line
  absl::string_view details;  // what --help says below the summary; may be empty

  // What its one argument is, for example "NAME"; empty where it takes none.
  absl::string_view argument;

  // Lines of further examples, for --help; may be empty.
  absl::string_view more_examples;

  // Ends of the paths of the files that define its flags, beside the shared ones.
  std::vector<absl::string_view> flag_files;

  // Whether the flags make sense: what is wrong here is wrong usage. Touches no file or network.
  absl::Status (*check_flags)() = nullptr;

  // `argument` is empty where the command takes none.
  absl::Status (*run)(const std::string& argument) = nullptr;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMMAND_H_
