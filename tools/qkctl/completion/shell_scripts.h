#ifndef QKSERVE_TOOLS_QKCTL_COMPLETION_SHELL_SCRIPTS_H_
#define QKSERVE_TOOLS_QKCTL_COMPLETION_SHELL_SCRIPTS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "tools/qkctl/completion/command_words.h"

namespace qkserve {

// Scripts that make a shell complete qkctl's command lines. Each script holds all commands, so
// completion asks neither qkctl nor a server.

std::string BashCompletion(absl::Span<const CommandWords> commands);

// A shell can source the script. Or the script is a file named _qkctl in a folder of fpath.
std::string ZshCompletion(absl::Span<const CommandWords> commands);

std::string FishCompletion(absl::Span<const CommandWords> commands);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMPLETION_SHELL_SCRIPTS_H_
