#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/limit_error.h"
#include "base/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/admission/admit_score.h"
#include "tests/server/admission/call_fixture.h"
#include "tests/support/key_set_uploads.h"

namespace qkserve {
namespace {

// Keeps the result that it receives. Thread-safe.
class RecordingResponder final : public Responder {
 public:
  void Respond(const ComputedScore& score, const ScoreReceipt& receipt) override {
    MutexLock lock(&mutex_);
    const auto* const scores = reinterpret_cast<const float*>(score.result.data.data());
    result_.assign(scores, scores + score.result.data.size_bytes() / sizeof(float));
    Tell(absl::OkStatus(), receipt);
  }
  void Fail(const absl::Status& status, const ScoreReceipt& receipt) override {
    MutexLock lock(&mutex_);
    Tell(status, receipt);
  }
  void Hold(ByteBudget::Charge charge) override { charge_ = std::move(charge); }
  bool IsCancelled() const override { return is_cancelled; }

  // Waits for the end.
  absl::Status Await() {
    MutexLock lock(&mutex_);
    while (times_told_ == 0) told_.Wait(&mutex_);
    return status_;
  }
  int times_told() {
    MutexLock lock(&mutex_);
    return times_told_;
  }
  ScoreReceipt receipt() {
    MutexLock lock(&mutex_);
    return receipt_;
  }
  std::vector<float> result() {
    MutexLock lock(&mutex_);
    return result_;
  }

  bool is_cancelled = false;

 private:
  void Tell(const absl::Status& status, const ScoreReceipt& receipt)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    status_ = status;
    receipt_ = receipt;
    ++times_told_;
    told_.NotifyAll();
  }

  ByteBudget::Charge charge_;
  Mutex mutex_;
  CondVar told_;
  int times_told_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  ScoreReceipt receipt_ ABSL_GUARDED_BY(mutex_);
  std::vector<float> result_ ABSL_GUARDED_BY(mutex_);
};

class SubmitScoreTest : public CallFixture {
 protected:
  void Submit(ScoreCall call, RecordingResponder& responder) {
    SubmitScore(std::move(call), &responder, options_, batcher_.get());
  }

  const std::unique_ptr<Batcher> batcher_ =
      Batcher::Create({.workers = 1}, Clock::Monotonic()).value();
};

TEST_F(SubmitScoreTest, RespondsOnceWithTheScores) {
  ScoreCall call = Call({1, 3}, {2, 3});
  const auto* const q = reinterpret_cast<const float*>(call.problem.queries.data);
  const auto* const k = reinterpret_cast<const float*>(call.problem.keys.data);
  const float first = q[0] * k[0] + q[1] * k[1] + q[2] * k[2];
  RecordingResponder responder;
  Submit(std::move(call), responder);
  EXPECT_TRUE(responder.Await().ok());
  batcher_->Drain();
  EXPECT_EQ(responder.times_told(), 1);
  ASSERT_EQ(responder.result().size(), 2U);
  EXPECT_NEAR(responder.result()[0], first, 1e-5);
  EXPECT_EQ(responder.receipt().rows, 1);
  EXPECT_EQ(responder.receipt().job.batch_requests, 1);
  EXPECT_EQ(responder.receipt().key_set, nullptr);
}

TEST_F(SubmitScoreTest, FailsWhatIsNotAdmittedAtOnce) {
  RecordingResponder responder;
  Submit(Call({1, 3}, {2, 4}), responder);
  EXPECT_EQ(responder.times_told(), 1);
  EXPECT_EQ(responder.Await().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(responder.receipt().rows, 0);
}

TEST_F(SubmitScoreTest, FailsWhatTheBatcherRefuses) {
  batcher_->RefuseNewJobs();
  RecordingResponder responder;
  Submit(Call({2, 3}, {2, 3}), responder);
  EXPECT_EQ(responder.Await().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(responder.receipt().rows, 2);
}

TEST_F(SubmitScoreTest, FailsACallWhoseCallerHasGone) {
  RecordingResponder responder;
  responder.is_cancelled = true;
  Submit(Call({2, 3}, {2, 3}), responder);
  EXPECT_EQ(responder.Await().code(), absl::StatusCode::kCancelled);
}

TEST_F(SubmitScoreTest, TheResponderHoldsTheCharge) {
  {
    RecordingResponder responder;
    Submit(Call({2, 3}, {2, 3}), responder);
    EXPECT_TRUE(responder.Await().ok());
    batcher_->Drain();
    EXPECT_GT(budget_.bytes(), 0);
  }
  EXPECT_EQ(budget_.bytes(), 0);
}

TEST_F(SubmitScoreTest, TakesItsCostFromTheQuotaAndGivesBackWhatWasNotUsed) {
  Tenants tenants;
  const auto tenant = tenants.Find("web", /*is_authenticated=*/false, absl::UnixEpoch());
  const auto call = [&] {
    ScoreCall call = Call({64, 64}, {512, 64});
    call.tenant = tenant;
    call.arrival = absl::UnixEpoch();
    return call;
  };
  const absl::Duration cost = AdmitScore(call(), options_).value()->spec().cost;
  // The quota is enough for one call.
  tenants.SetQuotas({.default_rate = 1.5 * absl::ToDoubleSeconds(cost)}, absl::UnixEpoch());
  batcher_->RefuseNewJobs();
  for (int i = 0; i < 3; ++i) {
    RecordingResponder refused;
    Submit(call(), refused);
    EXPECT_EQ(refused.Await().code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_TRUE(tenant->TakeQuota(cost, absl::UnixEpoch()).ok());
  RecordingResponder responder;
  Submit(call(), responder);
  EXPECT_EQ(LimitOf(responder.Await()), "tenant_quota_file");
}

TEST_F(SubmitScoreTest, CountsWhatAKeySetServed) {
  const std::shared_ptr<const KeySet> key_set =
      UploadPart(*key_sets_, "docs", {.leading = {}, .d = 3}, {1, 10}).value();
  ScoreCall call = Call({2, 3}, {});
  call.key_set = "docs";
  RecordingResponder responder;
  Submit(std::move(call), responder);
  EXPECT_TRUE(responder.Await().ok());
  EXPECT_EQ(responder.result().size(), 20U);
  EXPECT_EQ(key_set->requests_served(), 1);
}

}  // namespace
}  // namespace qkserve
