#ifndef QKSERVE_CLIENT_RETRY_BUDGET_H_
#define QKSERVE_CLIENT_RETRY_BUDGET_H_

#include <array>
#include <cstdint>

#include "absl/time/time.h"

// This header is not for users of the library.

namespace qkserve {

// Bounds the retries of a client, so that they do not multiply the load of servers in trouble.
//
// In any 10 s, retries are at most
//
//   calls that began / 10 + the larger of (100, calls in flight)
//
// The tenth is the load that a client may add as long as a failure lasts. The second part is a
// reserve. With it, a client with few calls can retry each of them, and all calls of a lost
// connection can be sent again at once. Time is counted in whole seconds.
//
// Thread-compatible. `now` must not go back.
class RetryBudget {
 public:
  void BeginCall(absl::Time now);
  void EndCall() { --in_flight_; }

  // Takes a retry from the budget. Returns false if the budget is spent. The call must then fail.
  bool TakeRetry(absl::Time now);

 private:
  // The counts of one second.
  struct Second {
    int64_t time = INT64_MIN;  // in Unix seconds
    int64_t calls = 0;
    int64_t retries = 0;
  };

  Second& SecondOf(absl::Time now);

  std::array<Second, 10> seconds_;
  int64_t in_flight_ = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_RETRY_BUDGET_H_
