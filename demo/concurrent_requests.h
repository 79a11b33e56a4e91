#ifndef QKSERVE_DEMO_CONCURRENT_REQUESTS_H_
#define QKSERVE_DEMO_CONCURRENT_REQUESTS_H_

#include <cstdint>
#include <map>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "qkserve/client.h"

namespace qkserve {

struct ConcurrentRequestsReport {
  int64_t requests_alone = 0;
  absl::Duration alone;  // elapsed, one request after the other
  int64_t requests_together = 0;
  absl::Duration together;  // elapsed, all callers at once
  // Counts of requests, by their Receipt.batch_requests.
  std::map<int64_t, int64_t> requests_by_batch;
  absl::Duration queued_mean;
  absl::Duration computed_mean;
};

// Sends every request once alone. Then as many callers as there are requests send theirs `rounds`
// times at once, and every answer is compared, byte for byte, with the one it got alone.
//
// INTERNAL: an answer differed. Otherwise the first error of a call, whereupon all callers stop.
absl::StatusOr<ConcurrentRequestsReport> AskConcurrently(
    Client& client, absl::Span<const v1::ScoreRequest> requests, int rounds,
    absl::Duration timeout);

}  // namespace qkserve

#endif  // QKSERVE_DEMO_CONCURRENT_REQUESTS_H_
