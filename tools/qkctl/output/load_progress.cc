#include "tools/qkctl/output/load_progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/qkctl/output/terminal.h"
#include "tools/report/load_report.h"

namespace qkserve {
namespace {

constexpr absl::Duration kEvery = absl::Seconds(1);

}  // namespace

std::string LoadProgressText(const LoadCounts& counts, const LoadCounts& earlier,
                             absl::Duration interval, absl::Duration remaining) {
  const LoadCounts recent = counts.Since(earlier);
  return absl::StrFormat(
      "%.1f requests/s, p50 %s, p99 %s, %d errors, %.0f s left",
      static_cast<double>(recent.ok) / std::max(1e-9, absl::ToDoubleSeconds(interval)),
      MillisecondsText(recent.response.Percentile(50)),
      MillisecondsText(recent.response.Percentile(99)), counts.Errors(),
      std::max(0.0, absl::ToDoubleSeconds(remaining)));
}

LoadProgressLine::LoadProgressLine(std::string name)
    : name_(std::move(name)), is_terminal_(IsTerminal(STDERR_FILENO)) {}

LoadProgressLine::~LoadProgressLine() {
  if (is_terminal_) std::fputs("\r\x1b[K", stderr);
}

void LoadProgressLine::Show(const LoadProgress& progress) {
  if (progress.at - last_ < kEvery) return;
  const absl::Duration end = progress.options.warm_up + progress.options.duration;
  std::string text =
      progress.at < progress.options.warm_up
          ? "warming up"
          : LoadProgressText(progress.counts, earlier_, progress.at - last_, end - progress.at);
  if (!name_.empty()) text = absl::StrCat(name_, ": ", text);
  std::fprintf(stderr, is_terminal_ ? "\r\x1b[K%s" : "%s\n", text.c_str());
  last_ = progress.at;
  earlier_ = progress.counts;
}

}  // namespace qkserve
