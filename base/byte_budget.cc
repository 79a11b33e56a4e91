#include "base/byte_budget.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/limit_error.h"

namespace qkserve {

absl::StatusOr<ByteBudget::Charge> ByteBudget::TryCharge(int64_t bytes) {
  if (bytes < 0 || bytes > bytes_max_ - reserved_bytes_) {
    const std::string reserved =
        reserved_bytes_ > 0 ? absl::StrCat(", of which ", reserved_bytes_, " are reserved") : "";
    return LimitError(name_, absl::StrCat(bytes, " bytes are needed, more than ", name_, " = ",
                                          bytes_max_, reserved));
  }
  int64_t held = bytes_.load(std::memory_order_relaxed);
  do {
    if (bytes > bytes_max_ - held) {
      absl::Status refusal =
          LimitError(name_, absl::StrCat(bytes, " bytes are needed, ", held, " of ", name_, " = ",
                                         bytes_max_, " are in use"));
      if (retry_after_ == absl::ZeroDuration()) return refusal;
      return WithRetryAfter(std::move(refusal), SpreadRetryAfter(retry_after_, refusals_++));
    }
  } while (!bytes_.compare_exchange_weak(held, held + bytes, std::memory_order_relaxed));
  return Charge(this, bytes);
}

}  // namespace qkserve
