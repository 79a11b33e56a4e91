#ifndef QKSERVE_TOOLS_REPORT_TEXT_TABLE_H_
#define QKSERVE_TOOLS_REPORT_TEXT_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

// Text in lines of at most kTextColumns, or of another width. Widths count bytes, because names are
// ASCII.

namespace qkserve {

inline constexpr size_t kTextColumns = 80;

// The width of lines that are not limited, for output that programs read.
inline constexpr size_t kUnlimitedColumns = std::numeric_limits<size_t>::max();

// Returns "1 request", "2 requests" or "0 requests".
std::string CountText(int64_t count, absl::string_view noun);

// Returns `text`. If it is longer than `width`, "..." replaces its middle.
std::string CutMiddle(absl::string_view text, size_t width);

// Breaks `text` between words. Lines beyond the first begin with `indent` blanks. A word that is
// longer than a line stays whole.
std::string WrapText(absl::string_view text, size_t indent, size_t width = kTextColumns);

enum class TextAlign { kLeft, kRight };

// Returns a table with two blanks between its columns. If the table would be too wide, the cells of
// the first column, which are names, are cut in the middle. If that is not enough, each name has
// its own line, and the other cells stand below it.
//
// A row with fewer cells than columns ends with a text that may take several lines.
std::string TextTable(absl::Span<const TextAlign> columns,
                      const std::vector<std::vector<std::string>>& rows,
                      size_t width = kTextColumns);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_REPORT_TEXT_TABLE_H_
