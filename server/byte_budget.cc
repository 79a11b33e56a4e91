#include "server/byte_budget.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace qkserve {

absl::StatusOr<ByteBudget::Charge> ByteBudget::TryCharge(int64_t bytes) {
  if (bytes > bytes_max_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the request needs ", bytes, " bytes, more than in_flight_bytes_max = ", bytes_max_,
        " allows all requests together"));
  }
  int64_t held = bytes_.load(std::memory_order_relaxed);
  do {
    if (bytes > bytes_max_ - held) {
      return absl::ResourceExhaustedError(absl::StrCat("the request needs ", bytes,
                                                       " bytes, requests in flight hold ", held,
                                                       " of in_flight_bytes_max = ", bytes_max_));
    }
  } while (!bytes_.compare_exchange_weak(held, held + bytes, std::memory_order_relaxed));
  return Charge(this, bytes);
}

}  // namespace qkserve
