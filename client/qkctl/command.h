#ifndef QKSERVE_CLIENT_QKCTL_COMMAND_H_
#define QKSERVE_CLIENT_QKCTL_COMMAND_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace qkserve {

// A subcommand of qkctl. Its flags are Abseil's, defined beside it; those of commands that do not
// run keep their defaults.
struct Command {
  absl::string_view name;
  absl::string_view summary;  // one line
  absl::string_view example;  // a whole command line
  absl::string_view details;  // what --help says below the summary; may be empty

  // Lines of further examples, for --help; may be empty.
  absl::string_view more_examples;

  // Ends of the paths of the files that define its flags, beside the shared ones.
  std::vector<absl::string_view> flag_files;

  // Whether the flags make sense: what is wrong here is wrong usage. Touches no file or network.
  absl::Status (*check_flags)() = nullptr;

  absl::Status (*run)() = nullptr;
};

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_QKCTL_COMMAND_H_
