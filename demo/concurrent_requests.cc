#include "demo/concurrent_requests.h"

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace qkserve {
namespace {

// Sums over the callers. Thread-safe.
class Tally {
 public:
  void Add(const v1::Receipt& receipt) {
    MutexLock lock(&mutex_);
    ++report_.requests_together;
    ++report_.requests_by_batch[receipt.batch_requests()];
    report_.queued_mean += absl::Nanoseconds(receipt.queued_ns());
    report_.computed_mean += absl::Nanoseconds(receipt.computed_ns());
  }

  void Fail(const absl::Status& status) {
    MutexLock lock(&mutex_);
    status_.Update(status);  // keeps the first error
  }

  bool Failed() {
    MutexLock lock(&mutex_);
    return !status_.ok();
  }

  // Sums become means.
  absl::StatusOr<ConcurrentRequestsReport> Finish() {
    MutexLock lock(&mutex_);
    if (!status_.ok()) return status_;
    if (report_.requests_together > 0) {
      report_.queued_mean /= report_.requests_together;
      report_.computed_mean /= report_.requests_together;
    }
    return report_;
  }

 private:
  Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  ConcurrentRequestsReport report_ ABSL_GUARDED_BY(mutex_);
};

struct Call {
  const v1::ScoreRequest& request;
  const std::string& bytes_alone;
};

void AskRepeatedly(Client& client, const Call& call, int rounds, absl::Duration timeout,
                   Tally& tally) {
  for (int round = 0; round < rounds && !tally.Failed(); ++round) {
    const absl::StatusOr<v1::ScoreResponse> response = client.Score(call.request, timeout);
    if (!response.ok()) return tally.Fail(response.status());
    if (response->result().data() != call.bytes_alone) {
      return tally.Fail(absl::InternalError(
          absl::StrCat("in a batch of ", response->receipt().batch_requests(),
                       " an answer differs from the one that the same question got alone")));
    }
    tally.Add(response->receipt());
  }
}

}  // namespace

absl::StatusOr<ConcurrentRequestsReport> AskConcurrently(
    Client& client, absl::Span<const v1::ScoreRequest> requests, int rounds,
    absl::Duration timeout) {
  const Clock& clock = *Clock::Monotonic();

  const absl::Time alone_start = clock.Now();
  std::vector<std::string> bytes_alone;
  for (const v1::ScoreRequest& request : requests) {
    absl::StatusOr<v1::ScoreResponse> response = client.Score(request, timeout);
    if (!response.ok()) return response.status();
    bytes_alone.push_back(std::move(*response->mutable_result()->mutable_data()));
  }
  const absl::Time together_start = clock.Now();

  Tally tally;
  std::vector<std::thread> callers;
  for (size_t i = 0; i < requests.size(); ++i) {
    callers.emplace_back([&, i] {
      AskRepeatedly(client, {requests[i], bytes_alone[i]}, rounds, timeout, tally);
    });
  }
  for (std::thread& caller : callers) caller.join();
  const absl::Time end = clock.Now();

  absl::StatusOr<ConcurrentRequestsReport> report = tally.Finish();
  if (!report.ok()) return report.status();
  report->requests_alone = static_cast<int64_t>(requests.size());
  report->alone = together_start - alone_start;
  report->together = end - together_start;
  return report;
}

}  // namespace qkserve
