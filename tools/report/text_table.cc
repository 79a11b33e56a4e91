#include "tools/report/text_table.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace qkserve {
namespace {

using Row = std::vector<std::string>;

constexpr size_t kGap = 2;
constexpr absl::string_view kCut = "...";

// A name is never cut to fewer characters, because shorter names could not be told apart.
constexpr size_t kNameColumns = 12;

// Columns that share a line.
struct Line {
  size_t indent;
  size_t begin, end;
};

// Returns the sum of the widths and of the gaps between them.
size_t WidthOf(absl::Span<const size_t> widths) {
  const size_t gaps = widths.empty() ? 0 : kGap * (widths.size() - 1);
  return std::accumulate(widths.begin(), widths.end(), gaps);
}

// Returns the lines of a row. Narrows the first column if the row then fits in one line.
std::vector<Line> LinesOf(std::vector<size_t>* widths, size_t width_max) {
  const size_t all = WidthOf(*widths);
  const size_t surplus = all - std::min(all, width_max);
  const size_t shortest = std::min(widths->front(), kNameColumns);
  if (widths->front() >= surplus + shortest) {
    widths->front() -= surplus;
    return {{0, 0, widths->size()}};
  }
  widths->front() = width_max;
  std::vector<Line> lines = {{0, 0, 1}};
  for (size_t begin = 1; begin < widths->size(); begin = lines.back().end) {
    size_t end = begin + 1;
    while (end < widths->size() &&
           kGap + WidthOf(absl::MakeConstSpan(*widths).subspan(begin, end + 1 - begin)) <=
               width_max) {
      ++end;
    }
    lines.push_back({kGap, begin, end});
  }
  return lines;
}

std::string Padded(const std::string& cell, size_t width, TextAlign align) {
  const std::string space(width - std::min(width, cell.size()), ' ');
  return align == TextAlign::kRight ? absl::StrCat(space, cell) : absl::StrCat(cell, space);
}

}  // namespace

std::string CountText(int64_t count, absl::string_view noun) {
  return absl::StrCat(count, " ", noun, count == 1 ? "" : "s");
}

std::string CutMiddle(absl::string_view text, size_t width) {
  if (text.size() <= width) return std::string(text);
  const size_t kept = width - std::min(width, kCut.size());
  return absl::StrCat(text.substr(0, (kept + 1) / 2), kCut, text.substr(text.size() - kept / 2));
}

std::string WrapText(absl::string_view text, size_t indent, size_t width) {
  std::string wrapped;
  size_t begin = 0;  // where the last line begins
  absl::string_view separator = "";
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    if (!separator.empty() && wrapped.size() - begin + 1 + word.size() > width) {
      begin = wrapped.append("\n").size();
      wrapped.append(indent, ' ');
      separator = "";
    }
    absl::StrAppend(&wrapped, separator, word);
    separator = " ";
  }
  return wrapped;
}

std::string TextTable(absl::Span<const TextAlign> columns, const std::vector<Row>& rows,
                      size_t width) {
  std::vector<size_t> widths(columns.size());
  for (const Row& row : rows) {
    const size_t cells = row.size() == columns.size() ? row.size() : row.size() - 1;
    for (size_t i = 0; i < cells; ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  const std::vector<Line> lines = LinesOf(&widths, width);
  const auto line_text = [&](const Row& row, const Line& line) {
    std::string text(line.indent, ' ');
    for (size_t i = line.begin; i < std::min(line.end, row.size()); ++i) {
      const std::string cell = i == 0 ? CutMiddle(row[i], widths[i]) : row[i];
      absl::StrAppend(&text, i == line.begin ? "" : "  ", Padded(cell, widths[i], columns[i]));
    }
    return absl::StrCat(absl::StripTrailingAsciiWhitespace(text), "\n");
  };
  std::string table;
  for (const Row& row : rows) {
    if (row.size() < columns.size()) {
      std::string text;
      for (size_t i = 0; i + 1 < row.size(); ++i) {
        const std::string cell = i == 0 ? CutMiddle(row[i], widths[i]) : row[i];
        absl::StrAppend(&text, lines.size() > 1 ? cell : Padded(cell, widths[i], columns[i]), "  ");
      }
      absl::StrAppend(&table, WrapText(absl::StrCat(text, row.back()), 2 * kGap, width), "\n");
      continue;
    }
    for (const Line& line : lines) absl::StrAppend(&table, line_text(row, line));
  }
  return table;
}

}  // namespace qkserve
