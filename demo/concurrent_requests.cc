#include "demo/concurrent_requests.h"

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/status_macros.h"

namespace qkserve {
namespace {

// INTERNAL: the answer is not the one that the request got alone.
absl::Status CheckAnswer(const absl::StatusOr<v1::ScoreResponse>& response,
                         const std::string& bytes_alone) {
  if (!response.ok()) return response.status();
  if (response->result().data() == bytes_alone) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("in a batch of ", response->receipt().batch_requests(),
                   " an answer differs from the one that the same question got alone"));
}

}  // namespace

absl::StatusOr<ConcurrentRequestsReport> AskConcurrently(
    Client& client, absl::Span<const v1::ScoreRequest> requests, int rounds,
    absl::Duration timeout) {
  const Clock& clock = *Clock::Monotonic();

  const absl::Time alone_start = clock.Now();
  std::vector<std::string> bytes_alone;
  for (const v1::ScoreRequest& request : requests) {
    ASSIGN_OR_RETURN(v1::ScoreResponse response, client.Score(request, timeout));
    bytes_alone.push_back(std::move(*response.mutable_result()->mutable_data()));
  }
  const absl::Time together_start = clock.Now();

  ConcurrentRequestsReport report;
  absl::Status status;  // the first error
  Mutex mutex;          // guards both
  const auto ask_repeatedly = [&](size_t i) {
    for (int round = 0; round < rounds; ++round) {
      const absl::StatusOr<v1::ScoreResponse> response = client.Score(requests[i], timeout);
      MutexLock lock(&mutex);
      status.Update(CheckAnswer(response, bytes_alone[i]));
      if (!status.ok()) return;
      const Receipt receipt = ReceiptFromProto(response->receipt());
      ++report.requests_together;
      ++report.requests_by_batch[receipt.batch_requests];
      report.queued_mean += receipt.queued;
      report.computed_mean += receipt.computed;
    }
  };
  std::vector<std::thread> callers;
  for (size_t i = 0; i < requests.size(); ++i) callers.emplace_back(ask_repeatedly, i);
  for (std::thread& caller : callers) caller.join();
  const absl::Time end = clock.Now();
  RETURN_IF_ERROR(status);

  if (report.requests_together > 0) {
    report.queued_mean /= report.requests_together;
    report.computed_mean /= report.requests_together;
  }
  report.requests_alone = static_cast<int64_t>(requests.size());
  report.alone = together_start - alone_start;
  report.together = end - together_start;
  return report;
}

}  // namespace qkserve
