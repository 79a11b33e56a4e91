#include "demo/shared_pass.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "core/kernels/blas.h"

namespace qkserve {
namespace {

// The tolerance for scores of about 100. It is not 0, because the server and OpenBLAS both round.
constexpr float kScoreTolerance = 0.01F;

std::string ResultBytes(const v1::ScoreResponse& response) {
  return absl::StrCat(response.indices().data(), response.result().data());
}

absl::Status CheckScores(const v1::ScoreResponse& response, const std::vector<float>& expected) {
  const std::string& data = response.result().data();
  const auto* const scores = reinterpret_cast<const float*>(data.data());
  if (data.size() == expected.size() * sizeof(float) &&
      std::equal(expected.begin(), expected.end(), scores,
                 [](float a, float b) { return std::abs(a - b) <= kScoreTolerance; })) {
    return absl::OkStatus();
  }
  return absl::InternalError("the best scores of a request are not those that OpenBLAS computes");
}

// Keeps the first error of several threads.
class FirstError {
 public:
  void Update(const absl::Status& status) {
    if (status.ok()) return;
    MutexLock lock(&mutex_);
    status_.Update(status);
    is_set_ = true;
  }
  bool is_set() const { return is_set_; }
  absl::Status Get() const {
    MutexLock lock(&mutex_);
    return status_;
  }

 private:
  mutable Mutex mutex_;
  absl::Status status_;
  std::atomic<bool> is_set_{false};
};

// Starts `threads` threads. Thread i calls `ask(i)` again and again for the length of a turn, and
// at least once. Adds the requests and the elapsed time to `sum`.
absl::Status TakeTurn(const SharedPassOptions& options, size_t threads,
                      const std::function<absl::Status(size_t)>& ask, Throughput& sum) {
  FirstError error;
  std::atomic<int64_t> requests{0};
  const absl::Time begin = options.clock->Now();
  std::vector<std::thread> running;
  for (size_t i = 0; i < threads; ++i) {
    running.emplace_back([&, i] {
      do {
        error.Update(ask(i));
        ++requests;
      } while (!error.is_set() && options.clock->Now() - begin < options.turn);
    });
  }
  for (std::thread& thread : running) thread.join();
  sum.requests += requests;
  sum.elapsed += options.clock->Now() - begin;
  return error.Get();
}

std::vector<float> RandomNumbers(int64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> numbers(static_cast<size_t>(count));
  for (float& x : numbers) x = static_cast<float>(random() >> 8) * 0x1p-23F - 1;  // in [-1, 1)
  return numbers;
}

}  // namespace

absl::StatusOr<SharedPassReport> CompareSharedPass(Client& client,
                                                   absl::Span<const v1::ScoreRequest> requests,
                                                   const OwnCall& own_call,
                                                   const SharedPassOptions& options) {
  std::vector<std::string> alone;
  for (size_t i = 0; i < requests.size(); ++i) {
    ASSIGN_OR_RETURN(const v1::ScoreResponse response, client.Score(requests[i], options.timeout));
    RETURN_IF_ERROR(CheckScores(response, own_call(i)));
    alone.push_back(ResultBytes(response));
  }

  std::atomic<size_t> next{0};
  Mutex mutex;
  double passes = 0;  // guarded by mutex
  const auto call_own = [&](size_t) {
    own_call(next++ % requests.size());
    return absl::OkStatus();
  };
  const auto ask_alone = [&](size_t) {
    return client.Score(requests[next++ % requests.size()], options.timeout).status();
  };
  const auto ask_together = [&](size_t i) {
    ASSIGN_OR_RETURN(const v1::ScoreResponse response, client.Score(requests[i], options.timeout));
    const auto of_pass =
        static_cast<double>(std::max<int64_t>(response.receipt().batch_requests(), 1));
    if (ResultBytes(response) != alone[i]) {
      return absl::InternalError(
          absl::StrCat("in a batch of ", of_pass,
                       " an answer differs from the one that the same request got alone"));
    }
    MutexLock lock(&mutex);
    passes += 1 / of_pass;
    return absl::OkStatus();
  };

  SharedPassReport report;
  for (int round = 0; round < options.rounds; ++round) {
    const auto threads = static_cast<size_t>(options.threads);
    RETURN_IF_ERROR(TakeTurn(options, threads, call_own, report.own_calls));
    RETURN_IF_ERROR(TakeTurn(options, 1, ask_alone, report.one_caller));
    RETURN_IF_ERROR(TakeTurn(options, requests.size(), ask_together, report.together));
  }
  report.requests_of_a_pass = static_cast<double>(report.together.requests) / passes;
  return report;
}

Catalogue::Catalogue(size_t queries)
    : keys_(RandomNumbers(kKeys * kDimensions, 1)),
      queries_(RandomNumbers(static_cast<int64_t>(queries) * kDimensions, 2)) {}

TensorView Catalogue::Keys() const { return Matrix(keys_, kKeys, kDimensions); }

TensorView Catalogue::Query(size_t i) const {
  return Matrix({queries_.data() + i * kDimensions, kDimensions}, 1, kDimensions);
}

std::vector<float> Catalogue::BestScores(size_t i) const {
  std::vector<float> scores(kKeys);
  ComputeDotProducts({.queries = queries_.data() + i * kDimensions,
                      .query_stride = kDimensions,
                      .keys = keys_.data(),
                      .key_stride = kDimensions,
                      .out = scores.data(),
                      .out_stride = kKeys,
                      .rows = 1,
                      .key_count = kKeys,
                      .depth = kDimensions});
  std::partial_sort(scores.begin(), scores.begin() + kTopK, scores.end(), std::greater<>());
  scores.resize(kTopK);
  return scores;
}

}  // namespace qkserve
