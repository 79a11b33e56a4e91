#ifndef QKSERVE_SERVER_ADMISSION_TOKEN_BUCKET_H_
#define QKSERVE_SERVER_ADMISSION_TOKEN_BUCKET_H_

#include <algorithm>

#include "absl/time/time.h"

namespace qkserve {

// Limits work to a rate. The bucket holds CPU time. It fills at the rate and is full at first. A
// full bucket holds what flows in during kBurst.
//
// Time comes from the caller and may go back a little. Thread-compatible.
class TokenBucket {
 public:
  static constexpr absl::Duration kBurst = absl::Seconds(1);

  // `rate` is in seconds of CPU time a second; 0: nothing is ever taken.
  TokenBucket(double rate, absl::Time now) : rate_(rate), level_(Capacity()), last_(now) {}

  // Changes the rate. The content of the bucket stays, as far as it fits.
  void SetRate(double rate, absl::Time now) {
    Fill(now);
    rate_ = rate;
    level_ = std::min(level_, Capacity());
  }

  // Takes `cost` and returns 0 if the bucket holds enough. If `cost` is more than a full bucket, a
  // full bucket is enough, and the rest is owed. Otherwise takes nothing, and returns the time
  // until the bucket will hold enough, or infinity if it never will.
  absl::Duration Take(absl::Duration cost, absl::Time now) {
    Fill(now);
    const absl::Duration missing = std::min(cost, Capacity()) - level_;
    if (rate_ <= 0.0) return absl::InfiniteDuration();
    if (missing > absl::ZeroDuration()) return missing / rate_;
    level_ -= cost;
    return absl::ZeroDuration();
  }

  // Puts back what was taken and not used.
  void GiveBack(absl::Duration unused) { level_ = std::min(level_ + unused, Capacity()); }

 private:
  absl::Duration Capacity() const { return kBurst * rate_; }

  void Fill(absl::Time now) {
    if (now <= last_) return;
    level_ = std::min(level_ + (now - last_) * rate_, Capacity());
    last_ = now;
  }

  double rate_;
  absl::Duration level_;  // negative if some is owed
  absl::Time last_;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ADMISSION_TOKEN_BUCKET_H_
