#ifndef QKSERVE_BASE_COMMAND_LINE_H_
#define QKSERVE_BASE_COMMAND_LINE_H_

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "absl/flags/reflection.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace qkserve {

// Parses a command line into Abseil flags, through their public reflection.
//
// Not absl::ParseCommandLine: that ends the process with code 1 on a bad flag, where a shell
// expects 2 for wrong usage, and its --help lists every flag linked in.

struct CommandLine {
  bool help = false;  // --help or -h was there; the rest may be incomplete
  std::vector<std::string> arguments;
  std::set<std::string, std::less<>> flags;  // names of those that were there

  bool Has(absl::string_view flag) const { return flags.count(flag) > 0; }
};

// `args` without the program name. Accepts --name=value, --name value, --boolean, --noboolean, and
// "--" before arguments that begin with a dash. A flag for which `is_known` is false does not
// exist. INVALID_ARGUMENT names the flag that is unknown, lacks its value, does not parse, or has
// an empty value though it is none of `may_be_empty`: a shell variable that is not set must not
// look like a flag that was not given.
absl::StatusOr<CommandLine> ParseCommandLine(
    absl::Span<const char* const> args,
    const std::function<bool(const absl::CommandLineFlag&)>& is_known,
    absl::Span<const absl::string_view> may_be_empty = {});

// One line a flag, sorted by name: "  --name=DEFAULT  help".
std::string FlagHelp(const std::function<bool(const absl::CommandLineFlag&)>& is_shown);

// Whether the flag is defined in a file whose path ends in `suffix`, for example
// "/qkctl/command_load.cc".
bool FlagIsDefinedIn(const absl::CommandLineFlag& flag, absl::string_view suffix);

}  // namespace qkserve

#endif  // QKSERVE_BASE_COMMAND_LINE_H_
