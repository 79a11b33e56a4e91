#ifndef QKSERVE_TOOLS_QKCTL_OUTPUT_TERMINAL_H_
#define QKSERVE_TOOLS_QKCTL_OUTPUT_TERMINAL_H_

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"

namespace qkserve {

// Returns `text` on one line, with blanks for control characters. Messages and names come from
// servers and must not move the cursor of a terminal.
inline std::string Printable(absl::string_view text) {
  std::string printable(text);
  for (char& c : printable) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  return printable;
}

// True if the descriptor is a terminal that may be drawn on.
inline bool IsTerminal(int fd) {
  const char* const term = std::getenv("TERM");
  return isatty(fd) == 1 && (term == nullptr || absl::string_view(term) != "dumb");
}

// Returns the number of characters in a line of standard output, if it is a terminal: the variable
// COLUMNS, or else what the terminal says, or else 80. Returns nullopt if it is no terminal.
std::optional<int64_t> TerminalColumns();

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_OUTPUT_TERMINAL_H_
