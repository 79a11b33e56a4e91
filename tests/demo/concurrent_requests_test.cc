#include "demo/concurrent_requests.h"

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

namespace qkserve {
namespace v1 {

// Instead of GoogleTest's printer of messages, in which GCC 12 sees an overlapping copy that is not
// there (GCC bug 105651).
void PrintTo(const ScoreRequest& request, std::ostream* out) { *out << request.ShortDebugString(); }

}  // namespace v1

namespace {

using ::testing::_;
using ::testing::NiceMock;

using Answer = std::function<grpc::Status(const v1::ScoreRequest&, v1::ScoreResponse*)>;

std::unique_ptr<Client> ClientThatAnswers(Answer answer) {
  auto scoring = std::make_unique<NiceMock<v1::MockScoringServiceStub>>();
  ON_CALL(*scoring, Score(_, _, _))
      .WillByDefault([answer = std::move(answer)](
                         grpc::ClientContext*, const v1::ScoreRequest& request,
                         v1::ScoreResponse* response) { return answer(request, response); });
  std::vector<Client::Stubs> stubs(1);
  stubs[0].scoring = std::move(scoring);
  return std::make_unique<Client>(std::move(stubs));
}

std::vector<v1::ScoreRequest> Requests(int count) {
  std::vector<v1::ScoreRequest> requests(count);
  for (int i = 0; i < count; ++i) {
    requests[i].mutable_queries()->set_data(std::string(1, static_cast<char>('a' + i)));
  }
  return requests;
}

TEST(AskConcurrentlyTest, CountsBatchesAndMeans) {
  const auto client = ClientThatAnswers([](const auto& request, auto* response) {
    response->mutable_result()->set_data(request.queries().data());
    response->mutable_receipt()->set_batch_requests(request.queries().data() == "a" ? 1 : 3);
    response->mutable_receipt()->set_queued_ns(100);
    response->mutable_receipt()->set_computed_ns(300);
    return grpc::Status::OK;
  });
  const auto report = AskConcurrently(*client, Requests(4), 5, absl::Seconds(10));
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->requests_alone, 4);
  EXPECT_EQ(report->requests_together, 20);
  EXPECT_THAT(report->requests_by_batch, ::testing::ElementsAre(std::pair(1, 5), std::pair(3, 15)));
  EXPECT_EQ(report->queued_mean, absl::Nanoseconds(100));
  EXPECT_EQ(report->computed_mean, absl::Nanoseconds(300));
}

TEST(AskConcurrentlyTest, NoticesAnAnswerThatTheBatchChanged) {
  std::atomic<int> calls{0};
  const auto client = ClientThatAnswers([&calls](const auto&, auto* response) {
    response->mutable_result()->set_data(++calls == 5 ? "other" : "same");
    return grpc::Status::OK;
  });
  const auto report = AskConcurrently(*client, Requests(2), 5, absl::Seconds(10));
  EXPECT_EQ(report.status().code(), absl::StatusCode::kInternal);
}

TEST(AskConcurrentlyTest, ReturnsTheErrorOfACall) {
  const auto client = ClientThatAnswers([](const auto&, auto*) {
    return grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "no such method");
  });
  const auto report = AskConcurrently(*client, Requests(2), 5, absl::Seconds(10));
  EXPECT_EQ(report.status().code(), absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace qkserve
