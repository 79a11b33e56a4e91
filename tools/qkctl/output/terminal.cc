#include "tools/qkctl/output/terminal.h"

#include <sys/ioctl.h>

#include "absl/strings/numbers.h"

namespace qkserve {

std::optional<int64_t> TerminalColumns() {
  constexpr int64_t kUsualColumns = 80;
  if (isatty(STDOUT_FILENO) != 1) return std::nullopt;
  const char* const variable = std::getenv("COLUMNS");
  int64_t columns = 0;
  if (variable != nullptr && absl::SimpleAtoi(variable, &columns) && columns > 0) return columns;
  winsize size = {};
  const bool is_known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return is_known ? size.ws_col : kUsualColumns;
}

}  // namespace qkserve
