#include "tools/qkctl/output/upload_progress.h"

#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/qkctl/output/key_set_text.h"
#include "tools/qkctl/output/terminal.h"

namespace qkserve {
namespace {

constexpr int kBarWidth = 20;
constexpr absl::Duration kInterval = absl::Milliseconds(100);

}  // namespace

std::string UploadProgressText(int64_t sent_bytes, int64_t total_bytes, absl::Duration elapsed) {
  const double part =
      total_bytes > 0 ? static_cast<double>(sent_bytes) / static_cast<double>(total_bytes) : 1;
  const int filled = static_cast<int>(part * kBarWidth);
  std::string text = absl::StrFormat(
      "[%s%s] %3d%%  %s of %s", std::string(filled, '#'), std::string(kBarWidth - filled, '.'),
      static_cast<int>(part * 100), BytesText(sent_bytes), BytesText(total_bytes));
  const double seconds = absl::ToDoubleSeconds(elapsed);
  if (seconds <= 0 || sent_bytes <= 0) return text;
  const double rate = static_cast<double>(sent_bytes) / seconds;
  absl::StrAppend(&text, "  ", BytesText(static_cast<int64_t>(rate)), "/s");
  // The server has more to do when all is sent.
  if (sent_bytes == total_bytes) return absl::StrCat(text, "  waiting for the server");
  const absl::Duration left =
      absl::Seconds(static_cast<double>(total_bytes - sent_bytes) / rate) + absl::Seconds(1);
  return absl::StrCat(text, "  ", absl::FormatDuration(absl::Trunc(left, absl::Seconds(1))),
                      " left");
}

UploadProgressLine::UploadProgressLine(const Clock* clock)
    : clock_(clock), is_terminal_(IsTerminal(STDERR_FILENO)), begin_(clock->Now()), next_(begin_) {}

UploadProgressLine::~UploadProgressLine() {
  if (is_terminal_) std::fputs("\r\x1b[K", stderr);
}

void UploadProgressLine::Show(int64_t sent_bytes, int64_t total_bytes) {
  if (!is_terminal_) return;
  const absl::Time now = clock_->Now();
  if (now < next_ && sent_bytes < total_bytes) return;
  next_ = now + kInterval;
  std::fprintf(stderr, "\r\x1b[K%s",
               UploadProgressText(sent_bytes, total_bytes, now - begin_).c_str());
}

}  // namespace qkserve
