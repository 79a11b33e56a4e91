#ifndef QKSERVE_SERVER_OBSERVE_LINE_LIMIT_H_
#define QKSERVE_SERVER_OBSERVE_LINE_LIMIT_H_

#include <cstdint>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace qkserve {

// Allows kLinesMax lines in kPeriod. A line for every call would make a busy server slower.
// Thread-safe.
class LineLimit {
 public:
  static constexpr int64_t kLinesMax = 10;
  static constexpr absl::Duration kPeriod = absl::Seconds(1);

  // Returns how many lines were left out since the last logged line, or nullopt if this line is
  // left out, too.
  std::optional<int64_t> Take(absl::Time now);

 private:
  Mutex mutex_;
  absl::Time period_begin_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  int64_t lines_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t left_out_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OBSERVE_LINE_LIMIT_H_
