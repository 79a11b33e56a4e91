#ifndef QKSERVE_TOOLS_QKCTL_HELP_H_
#define QKSERVE_TOOLS_QKCTL_HELP_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "tools/qkctl/command.h"

// Texts of --help, in lines of at most 80 columns.

namespace qkserve {

// The commands whose names begin with `group`, which may be empty: with it the text is that of
// 'qkctl --help'.
std::string HelpOfCommands(absl::Span<const Command> commands, absl::string_view group);

// The text above a command's flags.
std::string HelpAboveFlags(const Command& command);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_HELP_H_
