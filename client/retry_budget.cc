#include "client/retry_budget.h"

#include <algorithm>
#include <cstddef>

namespace qkserve {
namespace {

// Google's SRE book and gRPC's own throttle also allow one retry for ten calls. Ten percent more
// load seldom decides whether servers recover.
constexpr int64_t kCallsPerRetry = 10;

constexpr int64_t kReserveMin = 100;

}  // namespace

RetryBudget::Second& RetryBudget::SecondOf(absl::Time now) {
  const int64_t time = absl::ToUnixSeconds(now);
  Second& second = seconds_[static_cast<size_t>(time) % seconds_.size()];
  if (second.time != time) second = {.time = time};
  return second;
}

void RetryBudget::BeginCall(absl::Time now) {
  ++SecondOf(now).calls;
  ++in_flight_;
}

bool RetryBudget::TakeRetry(absl::Time now) {
  Second& current = SecondOf(now);
  int64_t calls = 0;
  int64_t retries = 0;
  for (const Second& second : seconds_) {
    if (second.time <= current.time - static_cast<int64_t>(seconds_.size())) continue;
    calls += second.calls;
    retries += second.retries;
  }
  if (retries >= calls / kCallsPerRetry + std::max(kReserveMin, in_flight_)) return false;
  ++current.retries;
  return true;
}

}  // namespace qkserve
