#include "server/observe/line_limit.h"

#include <utility>

namespace qkserve {

std::optional<int64_t> LineLimit::Take(absl::Time now) {
  MutexLock lock(&mutex_);
  if (now - period_begin_ >= kPeriod) {
    period_begin_ = now;
    lines_ = 0;
  }
  if (lines_ >= kLinesMax) {
    ++left_out_;
    return std::nullopt;
  }
  ++lines_;
  return std::exchange(left_out_, 0);
}

}  // namespace qkserve
