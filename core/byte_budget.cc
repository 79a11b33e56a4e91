#include "core/byte_budget.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "core/limit_error.h"

namespace qkserve {

absl::StatusOr<ByteBudget::Charge> ByteBudget::TryCharge(int64_t bytes) {
  if (bytes < 0 || bytes > bytes_max_) {
    return LimitError(
        name_, absl::StrCat(bytes, " bytes are needed, more than ", name_, " = ", bytes_max_));
  }
  int64_t held = bytes_.load(std::memory_order_relaxed);
  do {
    if (bytes > bytes_max_ - held) {
      // They are returned within the time of a request, usually.
      constexpr absl::Duration kRetryAfter = absl::Milliseconds(100);
      return WithRetryAfter(
          LimitError(name_, absl::StrCat(bytes, " bytes are needed, ", held, " of ", name_, " = ",
                                         bytes_max_, " are in use")),
          kRetryAfter);
    }
  } while (!bytes_.compare_exchange_weak(held, held + bytes, std::memory_order_relaxed));
  return Charge(this, bytes);
}

}  // namespace qkserve
