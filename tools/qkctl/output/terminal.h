#ifndef QKSERVE_TOOLS_QKCTL_OUTPUT_TERMINAL_H_
#define QKSERVE_TOOLS_QKCTL_OUTPUT_TERMINAL_H_

#include <string>

#include "absl/strings/string_view.h"

namespace qkserve {

// `text` on one line, with blanks for control characters. Messages and names come from servers and
// must not move the cursor of a terminal.
std::string Printable(absl::string_view text);

// True if the descriptor is a terminal that may be drawn on.
bool IsTerminal(int fd);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_OUTPUT_TERMINAL_H_
