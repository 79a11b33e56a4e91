#include "tools/qkctl/output/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/byte_size.h"
#include "tools/qkctl/output/terminal.h"
#include "tools/report/load_report.h"
#include "tools/report/text_table.h"

namespace qkserve {
namespace {

constexpr int kBarWidth = 20;
constexpr absl::Duration kUploadInterval = absl::Milliseconds(100);
constexpr absl::Duration kLoadInterval = absl::Seconds(1);

}  // namespace

ProgressLine::ProgressLine() : is_terminal_(IsTerminal(STDERR_FILENO)) {}

ProgressLine::~ProgressLine() {
  if (is_terminal_) std::fputs("\r\x1b[K", stderr);
}

void ProgressLine::Draw(const std::string& text) const {
  std::fprintf(stderr, is_terminal_ ? "\r\x1b[K%s" : "%s\n", text.c_str());
}

std::string UploadProgressText(int64_t sent_bytes, int64_t total_bytes, absl::Duration elapsed) {
  const double part =
      total_bytes > 0 ? static_cast<double>(sent_bytes) / static_cast<double>(total_bytes) : 1;
  const int filled = static_cast<int>(part * kBarWidth);
  std::string text = absl::StrFormat(
      "[%s%s] %3d%%  %s of %s", std::string(filled, '#'), std::string(kBarWidth - filled, '.'),
      static_cast<int>(part * 100), RoundByteSize(sent_bytes), RoundByteSize(total_bytes));
  const double seconds = absl::ToDoubleSeconds(elapsed);
  if (seconds <= 0 || sent_bytes <= 0) return text;
  const double rate = static_cast<double>(sent_bytes) / seconds;
  absl::StrAppend(&text, "  ", RoundByteSize(static_cast<int64_t>(rate)), "/s");
  // The server still has work to do when all bytes are sent.
  if (sent_bytes == total_bytes) return absl::StrCat(text, "  waiting for the server");
  const absl::Duration left =
      absl::Seconds(static_cast<double>(total_bytes - sent_bytes) / rate) + absl::Seconds(1);
  return absl::StrCat(text, "  ", absl::FormatDuration(absl::Trunc(left, absl::Seconds(1))),
                      " left");
}

void UploadProgressLine::Show(int64_t sent_bytes, int64_t total_bytes) {
  const absl::Time now = clock_->Now();
  if (!is_terminal() || (now < next_ && sent_bytes < total_bytes)) return;
  next_ = now + kUploadInterval;
  Draw(UploadProgressText(sent_bytes, total_bytes, now - begin_));
}

std::string LoadProgressText(const LoadCounts& counts, const LoadCounts& earlier,
                             absl::Duration interval, absl::Duration remaining) {
  const LoadCounts recent = counts.Since(earlier);
  const std::string latencies =
      recent.ok == 0 ? std::string("no answers")
                     : absl::StrCat("p50 ", MillisecondsText(recent.response.Percentile(50)),
                                    ", p99 ", MillisecondsText(recent.response.Percentile(99)));
  return absl::StrFormat(
      "%.1f requests/s, %s, %s, %.0f s left",
      static_cast<double>(recent.ok) / std::max(1e-9, absl::ToDoubleSeconds(interval)), latencies,
      CountText(counts.Errors(), "error"), std::max(0.0, absl::ToDoubleSeconds(remaining)));
}

void LoadProgressLine::Show(const LoadProgress& progress) {
  if (progress.at - last_ < kLoadInterval) return;
  const absl::Duration end = progress.options.warm_up + progress.options.duration;
  const std::string text =
      progress.at < progress.options.warm_up
          ? "warming up"
          : LoadProgressText(progress.counts, earlier_, progress.at - last_, end - progress.at);
  Draw(absl::StrCat(name_, name_.empty() ? "" : ": ", text));
  last_ = progress.at;
  earlier_ = progress.counts;
}

}  // namespace qkserve
