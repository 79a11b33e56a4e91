#include "demo/report.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <numeric>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "demo/code_points.h"
#include "demo/text_embedding.h"
#include "tools/qkctl/picture/terminal_matrix.h"

namespace qkserve {
namespace {

constexpr size_t kBestLines = 3;
constexpr size_t kHeatMapColumnsMax = 9;
constexpr size_t kHeatMapCellWidth = 7;
constexpr size_t kHeatMapLabelWidthMax = 40;
constexpr int kBarWidth = 40;

size_t OutputWidth() {
  winsize size{};
  if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40) {
    return size.ws_col;
  }
  return 100;
}

void PrintHeading(absl::string_view title) {
  absl::PrintF("\n%s\n%s\n", title, std::string(title.size(), '-'));
}

std::string Count(size_t count, absl::string_view noun) {
  return absl::StrCat(count, " ", noun, count == 1 ? "" : "s");
}

double Milliseconds(absl::Duration duration) { return absl::ToDoubleMilliseconds(duration); }

double PerSecond(int64_t count, absl::Duration elapsed) {
  return static_cast<double>(count) / absl::ToDoubleSeconds(elapsed);
}

// https://no-color.org: any value that is not empty turns colours off.
bool UsesColor() {
  const char* no_color = std::getenv("NO_COLOR");
  return isatty(STDOUT_FILENO) && (no_color == nullptr || *no_color == '\0');
}

// One score of the heat map, kHeatMapCellWidth wide: its number on its colour, or beside a
// character that is the denser the higher the score. `position`: 0 for the lowest score shown, 1
// for the highest.
std::string HeatMapCell(float score, double position, bool color) {
  constexpr absl::string_view kDensity = " .:-=+*#%@";
  if (!color) {
    const auto last = static_cast<double>(kDensity.size() - 1);
    const char mark = kDensity[static_cast<size_t>(std::clamp(position, 0.0, 1.0) * last)];
    return absl::StrFormat(" %5.2f%c", score, mark);
  }
  const Color background = HeatMapColor(position);
  // Black on the lighter half, white on the darker.
  const int luma = (2 * background.red + 5 * background.green + background.blue) / 8;
  const int ink = luma > 110 ? 0 : 255;
  return absl::StrFormat("\x1b[48;2;%d;%d;%dm\x1b[38;2;%d;%d;%dm %5.2f \x1b[0m", background.red,
                         background.green, background.blue, ink, ink, ink, score);
}

// The best lines of all questions, in the order of the text.
std::vector<size_t> HeatMapColumns(const Answers& answers, size_t columns_max) {
  std::set<size_t> lines;
  for (size_t count = kBestLines; count > 0; --count) {
    lines.clear();
    for (size_t q = 0; q < answers.questions.size(); ++q) {
      const std::vector<size_t> best = BestLines(answers.ScoresOf(q), count);
      lines.insert(best.begin(), best.end());
    }
    if (lines.size() <= columns_max) break;
  }
  std::vector<size_t> columns(lines.begin(), lines.end());
  columns.resize(std::min(columns.size(), columns_max));
  return columns;
}

// 1, 2-3, 4-7, ..: how the histogram groups sizes.
int64_t BucketBegin(int64_t size) {
  int64_t begin = 1;
  while (begin * 2 <= size) begin *= 2;
  return begin;
}

}  // namespace

std::vector<size_t> BestLines(absl::Span<const float> scores, size_t count) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(std::min(count, order.size()));
  std::partial_sort(order.begin(), end, order.end(), [&scores](size_t a, size_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  });
  order.erase(std::find_if(order.begin(), end, [&](size_t i) { return !(scores[i] > 0); }),
              order.end());
  return order;
}

void PrintText(const std::string& path, const TextFile& file) {
  PrintHeading("The text");
  absl::PrintF("%s: %s with something in them.\n", PrintableClip(path, OutputWidth()),
               Count(file.lines.size(), "line"));
  if (file.cut_lines > 0) absl::PrintF("Overlong lines that were cut: %d.\n", file.cut_lines);
  if (!file.complete) absl::PrintF("The file is longer; the rest is left out.\n");
  absl::PrintF(
      "Each line becomes a key: a vector of %d float32, made of the letter groups of its words,\n"
      "rare ones weighing most. Lines with the same words point the same way.\n",
      TextEmbedding::kDimensions);
}

void PrintServer(const std::string& address, const v1::GetStatusResponse& status) {
  PrintHeading("The server");
  absl::PrintF("qkserve %s at %s: %d workers on the %s kernel, %.0f GFLOP/s each.\n",
               status.version(), address, status.workers(), status.kernel(),
               status.gflops_per_worker());
}

void PrintAnswers(const Answers& answers, const Receipt& receipt, absl::Duration elapsed) {
  const TextFile& file = answers.file;
  PrintHeading("Which lines answer a question?");
  absl::PrintF(
      "One request carried %s (queries) and %s (keys); back came every score q·k:\n"
      "1 for the same words, 0 for nothing in common. It took %.2f ms: %.2f queued, %.2f "
      "computed,\n"
      "the rest connecting, sending and receiving.\n",
      Count(answers.questions.size(), "question"), Count(file.lines.size(), "line"),
      Milliseconds(elapsed), Milliseconds(receipt.queued), Milliseconds(receipt.computed));
  if (answers.questions[0].source) {
    absl::PrintF(
        "The questions are phrases from the text with a word left out and one misspelt; ask your\n"
        "own with --ask.\n");
  }
  const int number_width = static_cast<int>(absl::StrCat(file.numbers.back()).size());
  const size_t text_width = OutputWidth() - 17 - static_cast<size_t>(number_width);
  for (size_t q = 0; q < answers.questions.size(); ++q) {
    const Question& question = answers.questions[q];
    absl::PrintF("\n  \"%s\"", PrintableClip(question.text, OutputWidth() - 26));
    if (question.source) {
      absl::PrintF("  (from line %d)", file.numbers[*question.source]);
    }
    absl::PrintF("\n");
    const absl::Span<const float> scores = answers.ScoresOf(q);
    const std::vector<size_t> best = BestLines(scores, kBestLines);
    for (const size_t line : best) {
      absl::PrintF("    %.3f  line %*d  %s\n", scores[line], number_width, file.numbers[line],
                   PrintableClip(file.lines[line], text_width));
    }
    if (best.empty()) absl::PrintF("    no line has anything in common with it\n");
  }
}

void PrintHeatMap(const Answers& answers) {
  const size_t label_width = std::min(kHeatMapLabelWidthMax, OutputWidth() / 3);
  const std::vector<size_t> columns = HeatMapColumns(
      answers, std::min(kHeatMapColumnsMax, (OutputWidth() - 2 - label_width) / kHeatMapCellWidth));
  if (columns.empty()) return;
  PrintHeading("The same scores as a heat map");
  absl::PrintF(
      "A row for each question, a column for each of the best lines (by line number).\n\n");
  float low = answers.ScoresOf(0)[columns[0]];
  float high = low;
  for (size_t q = 0; q < answers.questions.size(); ++q) {
    for (const size_t line : columns) {
      low = std::min(low, answers.ScoresOf(q)[line]);
      high = std::max(high, answers.ScoresOf(q)[line]);
    }
  }
  absl::PrintF("  %*s", static_cast<int>(label_width), "");
  for (const size_t line : columns) absl::PrintF(" %5d ", answers.file.numbers[line]);
  absl::PrintF("\n");
  const bool color = UsesColor();
  for (size_t q = 0; q < answers.questions.size(); ++q) {
    const std::string label = PrintableClip(answers.questions[q].text, label_width);
    // Padded by hand, because printf would count bytes and not characters.
    absl::PrintF("  %s%s", label, std::string(label_width - DecodeUtf8(label).size(), ' '));
    for (const size_t line : columns) {
      const float score = answers.ScoresOf(q)[line];
      const double position = high > low ? (score - low) / (high - low) : 0.5;
      absl::PrintF("%s", HeatMapCell(score, position, color));
    }
    absl::PrintF("\n");
  }
}

void PrintConcurrentRequests(const ConcurrentRequestsReport& report, size_t lines, int rounds) {
  PrintHeading("Many callers at once");
  absl::PrintF(
      "%d callers each compared %d lines of their own with the first %d lines: first one caller\n"
      "after the other, then all at once, %d times each. Requests that queue while the workers\n"
      "are busy are answered as one batch; nobody waits for a batch to fill.\n\n",
      report.requests_alone, lines, lines, rounds);
  absl::PrintF("  one after the other  %8.0f requests/s\n",
               PerSecond(report.requests_alone, report.alone));
  absl::PrintF(
      "  all at once          %8.0f requests/s; a request queued %.3f ms and was computed "
      "in %.3f ms\n\n",
      PerSecond(report.requests_together, report.together), Milliseconds(report.queued_mean),
      Milliseconds(report.computed_mean));

  std::map<int64_t, int64_t> buckets;
  for (const auto& [size, requests] : report.requests_by_batch) {
    buckets[BucketBegin(size)] += requests;
  }
  absl::PrintF("  batch of      requests\n");
  for (const auto& [begin, requests] : buckets) {
    const std::string range = begin == 1 ? "1 (alone)" : absl::StrCat(begin, " to ", 2 * begin - 1);
    const int64_t bar =
        (requests * kBarWidth + report.requests_together - 1) / report.requests_together;
    absl::PrintF("  %-12s  %8d  %s\n", range, requests, std::string(bar, '#'));
  }
  absl::PrintF("\nEach of the %d answers is bit for bit the one that its question got alone.\n",
               report.requests_together);
}

}  // namespace qkserve
