#ifndef QKSERVE_TOOLS_QKCTL_HELP_H_
#define QKSERVE_TOOLS_QKCTL_HELP_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "tools/qkctl/command.h"

// Texts of --help, in lines of at most 80 columns.

namespace qkserve {

// Returns the help of the commands whose names begin with `group`. If `group` is empty, this is the
// text of 'qkctl --help'.
std::string HelpOfCommands(absl::Span<const Command> commands, absl::string_view group);

// Returns the text above a command's flags.
std::string HelpAboveFlags(const Command& command);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_HELP_H_
