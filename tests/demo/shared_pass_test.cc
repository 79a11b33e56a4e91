#include "demo/shared_pass.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "qkserve/v1/scoring_mock.grpc.pb.h"
#include "tests/support/fake_clock.h"

namespace qkserve {
namespace v1 {

// Replaces GoogleTest's printer of messages. GCC 12 sees an overlapping copy in that printer, but
// there is none (GCC bug 105651).
void PrintTo(const ScoreRequest& request, std::ostream* out) { *out << request.ShortDebugString(); }

}  // namespace v1

namespace {

using ::testing::_;
using ::testing::NiceMock;

using Reply = std::function<grpc::Status(const v1::ScoreRequest&, v1::ScoreResponse*)>;

std::unique_ptr<Client> ClientThatReplies(Reply reply) {
  auto scoring = std::make_unique<NiceMock<v1::MockScoringServiceStub>>();
  ON_CALL(*scoring, Score(_, _, _))
      .WillByDefault([reply = std::move(reply)](
                         grpc::ClientContext*, const v1::ScoreRequest& request,
                         v1::ScoreResponse* response) { return reply(request, response); });
  std::vector<Client::Stubs> stubs(1);
  stubs[0].scoring = std::move(scoring);
  return std::make_unique<Client>(std::move(stubs));
}

std::vector<v1::ScoreRequest> Requests(int count) {
  std::vector<v1::ScoreRequest> requests(count);
  for (int i = 0; i < count; ++i) requests[i].set_top_k(i + 1);
  return requests;
}

// Returns the one score of a request.
float ScoreOf(int64_t top_k) { return static_cast<float>(top_k) * 10; }

void SetScore(float score, v1::ScoreResponse* response) {
  response->mutable_result()->set_data(
      std::string(reinterpret_cast<const char*>(&score), sizeof(score)));
}

std::vector<float> OwnScores(size_t i) { return {ScoreOf(static_cast<int64_t>(i) + 1)}; }

// The clock advances only when a test advances it, mostly by 1 s for each answer.
class SharedPassTest : public ::testing::Test {
 protected:
  SharedPassOptions Options() {
    return {.clock = &clock_, .threads = 1, .rounds = 2, .turn = absl::Seconds(3)};
  }

  FakeClock clock_;
};

TEST_F(SharedPassTest, CountsTheRequestsOfEachWay) {
  const auto client = ClientThatReplies([this](const auto& request, auto* response) {
    clock_.Advance(absl::Seconds(1));
    SetScore(ScoreOf(request.top_k()), response);
    response->mutable_receipt()->set_batch_requests(request.top_k() == 1 ? 1 : 4);
    return grpc::Status::OK;
  });
  const auto own_call = [this](size_t i) {
    clock_.Advance(absl::Milliseconds(500));
    return OwnScores(i);
  };
  const auto report = CompareSharedPass(*client, Requests(1), own_call, Options());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->own_calls.requests, 12);
  EXPECT_EQ(report->own_calls.PerSecond(), 2);
  EXPECT_EQ(report->one_caller.requests, 6);
  EXPECT_EQ(report->one_caller.PerSecond(), 1);
  EXPECT_EQ(report->together.requests, 6);
  EXPECT_EQ(report->together.PerSecond(), 1);
  EXPECT_EQ(report->requests_of_a_pass, 1);
}

TEST_F(SharedPassTest, AveragesOverPassesAndNotOverRequests) {
  std::atomic<int> calls{0};
  const auto client = ClientThatReplies([&](const auto& request, auto* response) {
    clock_.Advance(absl::Seconds(1));
    SetScore(ScoreOf(request.top_k()), response);
    // Six answers count. Four shared one pass, and the other two had one pass each.
    const int call = calls++;
    response->mutable_receipt()->set_batch_requests(call == 7 || call == 8 ? 1 : 4);
    return grpc::Status::OK;
  });
  SharedPassOptions options = Options();
  options.rounds = 1;
  options.turn = absl::Seconds(6);
  // Call 0 is the request alone. Calls 1 to 6 are those of one caller.
  const auto report = CompareSharedPass(
      *client, Requests(1),
      [this](size_t i) {
        clock_.Advance(absl::Seconds(6));
        return OwnScores(i);
      },
      options);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->together.requests, 6);
  EXPECT_EQ(report->requests_of_a_pass, 2);
}

TEST_F(SharedPassTest, NoticesAnAnswerThatTheBatchChanged) {
  std::atomic<int> calls{0};
  const auto client = ClientThatReplies([&](const auto& request, auto* response) {
    clock_.Advance(absl::Seconds(1));
    // The score is within the tolerance, but has other bits.
    SetScore(ScoreOf(request.top_k()) + (++calls > 5 ? 1e-3F : 0), response);
    return grpc::Status::OK;
  });
  const auto report = CompareSharedPass(
      *client, Requests(2),
      [this](size_t i) {
        clock_.Advance(absl::Seconds(1));
        return OwnScores(i);
      },
      Options());
  EXPECT_EQ(report.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(report.status().message()), ::testing::HasSubstr("differs"));
}

TEST_F(SharedPassTest, NoticesScoresThatAreNotOpenBlass) {
  const auto client = ClientThatReplies([&](const auto&, auto* response) {
    SetScore(11, response);
    return grpc::Status::OK;
  });
  const auto report = CompareSharedPass(*client, Requests(1), OwnScores, Options());
  EXPECT_EQ(report.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(report.status().message()), ::testing::HasSubstr("OpenBLAS"));
}

TEST_F(SharedPassTest, ReturnsTheErrorOfACall) {
  std::atomic<int> calls{0};
  const auto client = ClientThatReplies([&](const auto& request, auto* response) {
    clock_.Advance(absl::Seconds(1));
    SetScore(ScoreOf(request.top_k()), response);
    return ++calls > 6 ? grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "no such method")
                       : grpc::Status::OK;
  });
  const auto report = CompareSharedPass(
      *client, Requests(3),
      [this](size_t i) {
        clock_.Advance(absl::Seconds(1));
        return OwnScores(i);
      },
      Options());
  EXPECT_EQ(report.status().code(), absl::StatusCode::kUnimplemented);
}

TEST(CatalogueTest, BestScoresAreThoseOfTheKeys) {
  const Catalogue catalogue(2);
  const Catalogue again(2);
  const TensorView keys = catalogue.Keys();
  EXPECT_EQ(keys.shape, (Shape{Catalogue::kKeys, Catalogue::kDimensions}));
  const auto* const query = reinterpret_cast<const float*>(catalogue.Query(1).data);
  double best = -1e9;
  for (int64_t key = 0; key < Catalogue::kKeys; ++key) {
    const float* const row =
        reinterpret_cast<const float*>(keys.data) + key * Catalogue::kDimensions;
    double score = 0;
    for (int64_t i = 0; i < Catalogue::kDimensions; ++i) score += double{query[i]} * double{row[i]};
    best = std::max(best, score);
  }
  const std::vector<float> scores = catalogue.BestScores(1);
  ASSERT_EQ(scores.size(), static_cast<size_t>(Catalogue::kTopK));
  EXPECT_NEAR(scores[0], best, 1e-3);
  EXPECT_TRUE(std::is_sorted(scores.rbegin(), scores.rend()));
  EXPECT_EQ(scores, again.BestScores(1));
}

}  // namespace
}  // namespace qkserve
