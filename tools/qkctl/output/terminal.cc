#include "tools/qkctl/output/terminal.h"

#include <unistd.h>

#include <cstdlib>

#include "absl/strings/ascii.h"

namespace qkserve {

std::string Printable(absl::string_view text) {
  std::string printable(text);
  for (char& c : printable) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  return printable;
}

bool IsTerminal(int fd) {
  const char* const term = std::getenv("TERM");
  return isatty(fd) == 1 && (term == nullptr || absl::string_view(term) != "dumb");
}

}  // namespace qkserve
