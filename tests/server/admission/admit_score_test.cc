#include "server/admission/admit_score.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/limits.h"
#include "tests/server/admission/call_fixture.h"
#include "tests/support/key_set_uploads.h"

namespace qkserve {
namespace {

using testing::HasSubstr;

class AdmitScoreTest : public CallFixture {
 protected:
  absl::StatusOr<std::unique_ptr<AdmittedScore>> Admit(ScoreCall call) {
    return AdmitScore(std::move(call), options_);
  }
  std::string Refusal(ScoreCall call, absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
    const absl::Status status = Admit(std::move(call)).status();
    EXPECT_EQ(status.code(), code) << status;
    return std::string(status.message());
  }
  // Returns the error of a call of batch 2 after `change`.
  template <class Change>
  std::string RefusalAfter(const Change& change) {
    ScoreCall call = Call({2, 3, 4}, {2, 5, 4});
    change(call);
    return Refusal(std::move(call));
  }
  // Puts a key set. Returns its version.
  int64_t Put(const std::string& name, const KeySetLayout& layout, int64_t rows) {
    return UploadPart(*key_sets_, name, layout, {1, rows}).value()->version();
  }
};

TEST_F(AdmitScoreTest, ChargesTheRequestAndThreeCopiesOfTheResult) {
  ScoreCall call = Call({2, 3}, {4, 3});
  call.request_bytes = 24 + 48;
  const void* const queries = call.problem.queries.data;
  const std::unique_ptr<AdmittedScore> score = Admit(std::move(call)).value();
  EXPECT_EQ(score->problem().queries.data, queries);
  EXPECT_EQ(score->result().result.data.size_bytes(), 32U);
  EXPECT_EQ(score->charge().bytes(), 24 + 48 + 3 * 32);
  EXPECT_EQ(budget_.bytes(), score->charge().bytes());
  EXPECT_EQ(score->result().kernel, "inline kernel");
}

TEST_F(AdmitScoreTest, TakesTimesAndRowsIntoTheSpec) {
  ScoreCall call = Call({2, 3, 3}, {2, 4, 3});
  call.arrival = absl::UnixEpoch() + absl::Seconds(1);
  call.deadline = absl::UnixEpoch() + absl::Seconds(2);
  const JobSpec spec = (*Admit(call))->spec();
  EXPECT_EQ(spec.arrival, call.arrival);
  EXPECT_EQ(spec.deadline, call.deadline);
  EXPECT_EQ(spec.rows, 6);
  EXPECT_EQ(spec.group, GroupId::kNone);
  EXPECT_GT(spec.cost, absl::ZeroDuration());
}

TEST_F(AdmitScoreTest, NamesMissingKeys) {
  EXPECT_EQ(Refusal(Call({2, 3}, {})), "k: got none, expected a tensor, or a set in its place");
}

TEST_F(AdmitScoreTest, NamesShapesThatDoNotFit) {
  EXPECT_THAT(Refusal(Call({2, 3}, {4, 5})), HasSubstr("k.shape: got [4, 5]"));
  EXPECT_THAT(Refusal(Call({2, 3}, {1, 4, 3})), HasSubstr("expected rank 2 to fit q [2, 3]"));
  EXPECT_THAT(Refusal(Call({2, 2, 3}, {3, 4, 3})), HasSubstr("expected 1 or 2"));
}

TEST_F(AdmitScoreTest, NamesNumbersThatAreOutOfRange) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  for (const float scale : {nan, inf}) {
    EXPECT_THAT(RefusalAfter([&](ScoreCall& call) { call.problem.scale = scale; }),
                HasSubstr("p.scale: got"));
  }
  EXPECT_THAT(RefusalAfter([](ScoreCall& call) { call.problem.softcap = -1; }),
              HasSubstr("p.softcap: got -1"));
  EXPECT_THAT(RefusalAfter([&](ScoreCall& call) { call.problem.softcap = nan; }),
              HasSubstr("p.softcap: got nan"));
  EXPECT_EQ(RefusalAfter([](ScoreCall& call) { call.problem.window_left = -2; }),
            "p.left: got -2, expected -1 (open) or more");
  EXPECT_EQ(RefusalAfter([](ScoreCall& call) { call.problem.window_right = -2; }),
            "p.right: got -2, expected -1 (open) or more");
}

TEST_F(AdmitScoreTest, TakesOffsetsAndWindowsToTheEndsOfInt64) {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  for (const int64_t offset : {kMin, kMax}) {
    ScoreCall call = Call({2, 3}, {4, 3});
    call.has_offset = true;
    call.problem.offset = offset;
    call.problem.window_left = kMax;
    call.problem.window_right = kMax;
    const std::unique_ptr<AdmittedScore> score = Admit(call).value();
    EXPECT_EQ(score->problem().offset, offset);
    EXPECT_EQ(score->problem().window_left, kMax);
    EXPECT_EQ(score->problem().window_right, kMax);
  }
}

TEST_F(AdmitScoreTest, NamesKeyLengthsThatDoNotFit) {
  const auto refusal = [this](std::vector<int64_t> lengths, std::optional<int64_t> offset) {
    return RefusalAfter([&](ScoreCall& call) {
      call.problem.key_lengths = lengths;
      call.has_offset = offset.has_value();
      call.problem.offset = offset.value_or(0);
    });
  };
  EXPECT_EQ(refusal({1}, std::nullopt), "p.lengths: got 1 lengths, expected 2, one a batch");
  EXPECT_EQ(refusal({0, -1}, std::nullopt), "p.lengths[1]: got -1, expected 0 to m = 5");
  EXPECT_EQ(refusal({0, 6}, std::nullopt), "p.lengths[1]: got 6, expected 0 to m = 5");
  EXPECT_EQ(refusal({1, 1}, 0), "p.offset: got 0, expected none beside key_lengths, which set it");
}

TEST_F(AdmitScoreTest, NamesOptionsOfOtherOutputs) {
  EXPECT_EQ(RefusalAfter([](ScoreCall& call) { call.problem.output = Output::kTopK; }),
            "p.top_k: got 0, expected 1 or more");
  EXPECT_THAT(RefusalAfter([](ScoreCall& call) { call.problem.top_k = 3; }),
              HasSubstr("p.top_k: got 3, expected none"));
  EXPECT_THAT(RefusalAfter([](ScoreCall& call) { call.log_sum_exp = true; }),
              HasSubstr("p.lse: got true"));
}

TEST_F(AdmitScoreTest, NamesValuesThatAreMissingOrTooMuch) {
  EXPECT_EQ(RefusalAfter([](ScoreCall& call) { call.problem.output = Output::kContext; }),
            "v: got none, expected a tensor, for the output CONTEXT");
  EXPECT_THAT(RefusalAfter([](ScoreCall& call) { call.problem.values = call.problem.keys; }),
              HasSubstr("v: got a tensor, expected none"));
  EXPECT_EQ(RefusalAfter([](ScoreCall& call) {
              call.problem.output = Output::kContext;
              call.problem.values = call.problem.queries;
            }),
            "v.shape: got [2, 3, 4], expected all dimensions but the last as in k [2, 5, 4]");
}

TEST_F(AdmitScoreTest, AMaskMustBroadcastToTheScores) {
  const auto admit = [this](const Shape& mask, DataType type) {
    ScoreCall call = Call({2, 3, 4}, {2, 5, 4});
    call.problem.mask = Keep(EmptyTensor(type, mask));
    return Admit(std::move(call)).status();
  };
  for (const Shape& fits : {Shape{5}, Shape{3}, Shape{0}, Shape{1, 5}, Shape{3, 5}, Shape{2, 3, 5},
                            Shape{1, 1, 4}, Shape{2, 1, 5}}) {
    EXPECT_TRUE(admit(fits, DataType::kBool).ok()) << ShapeString(fits);
    EXPECT_TRUE(admit(fits, DataType::kFloat32).ok()) << ShapeString(fits);
  }
  for (const Shape& misfit : {Shape{6}, Shape{2, 5}, Shape{3, 3, 5}, Shape{1, 2, 3, 5}}) {
    EXPECT_THAT(admit(misfit, DataType::kBool).message(),
                HasSubstr("expected a shape that broadcasts to [2, 3, 5]"))
        << ShapeString(misfit);
  }
}

TEST_F(AdmitScoreTest, WorkWithoutEndIsRefusedFromTheShapesAlone) {
  ScoreCall call = Call({1, 0}, {1, 0});
  call.problem.output = Output::kTopK;
  call.problem.top_k = 1;
  call.problem.keys.shape = {int64_t{1} << 41, 0};
  EXPECT_THAT(Refusal(std::move(call), absl::StatusCode::kResourceExhausted),
              HasSubstr("more than the limit of"));
}

TEST_F(AdmitScoreTest, AResultBeyondTheLimitIsRefusedFromTheShapesAlone) {
  // The request has no data at all, but its result would have 40 GB.
  ScoreCall call = Call({1, 0}, {1, 0});
  call.problem.queries.shape = {100000, 0};
  call.problem.keys.shape = {100000, 0};
  EXPECT_EQ(Refusal(call, absl::StatusCode::kResourceExhausted),
            "the result would be FLOAT32 [100000, 100000], which with 4096 bytes of framing is "
            "larger than message_bytes_max = 268435456");
  call.problem.queries.shape = {int64_t{1} << 31, 0};
  call.problem.keys.shape = {int64_t{1} << 31, 0};
  Refusal(call, absl::StatusCode::kResourceExhausted);
}

TEST_F(AdmitScoreTest, TheLimitOfTheResponseIsExact) {
  options_.message_bytes_max = 400 + kResponseOverheadBytesMax;
  EXPECT_TRUE(Admit(Call({10, 2}, {10, 2})).ok());
  --options_.message_bytes_max;
  EXPECT_FALSE(Admit(Call({10, 2}, {10, 2})).ok());
}

TEST_F(AdmitScoreTest, ACallThatTheBudgetRefusesKeepsNothingCharged) {
  ScoreCall call = Call({2, 3}, {4, 3});
  call.request_bytes = 2 * kGiB;
  EXPECT_THAT(Refusal(std::move(call), absl::StatusCode::kResourceExhausted),
              HasSubstr("in_flight_bytes_max"));
  EXPECT_EQ(budget_.bytes(), 0);
}

TEST_F(AdmitScoreTest, CallsOnAVersionOfAKeySetAreOneGroup) {
  const KeySetLayout layout = {.leading = {}, .d = 3};
  const int64_t version = Put("docs", layout, 10);
  Put("other", layout, 10);
  const auto admit = [this](const char* name) {
    ScoreCall call = Call({2, 3}, {});
    call.key_set = name;
    return Admit(std::move(call)).value();
  };
  const std::unique_ptr<AdmittedScore> score = admit("docs");
  EXPECT_EQ(score->result().kernel, "key set kernel");
  const JobSpec& first = score->spec();
  EXPECT_GT(first.shared_cost, absl::ZeroDuration());
  EXPECT_NE(first.group, GroupId::kNone);
  EXPECT_EQ(admit("docs")->spec().group, first.group);
  EXPECT_NE(admit("other")->spec().group, first.group);
  EXPECT_NE(admit("other")->spec().family, first.family);
  // A new version is another group in the same family.
  ASSERT_TRUE(UploadPart(*key_sets_, "docs", layout, {2, 5}, version).ok());
  const std::unique_ptr<AdmittedScore> later = admit("docs");
  EXPECT_NE(later->spec().group, first.group);
  EXPECT_EQ(later->spec().family, first.family);
}

TEST_F(AdmitScoreTest, NamesTheKeySetThatDoesNotServeTheCall) {
  const int64_t version = Put("docs", {.leading = {}, .d = 3}, 10);
  ScoreCall call = Call({2, 3}, {});
  call.key_set = "nope";
  EXPECT_EQ(Refusal(call, absl::StatusCode::kNotFound), "no key set has the name 'nope'");
  call.key_set = "docs";
  call.key_set_version = 7;
  EXPECT_EQ(Refusal(call, absl::StatusCode::kFailedPrecondition),
            absl::StrCat("set_version: got 7, key set docs is at ", version));
  call.key_set_version = std::nullopt;
  call.problem.output = Output::kContext;
  EXPECT_EQ(Refusal(call, absl::StatusCode::kFailedPrecondition),
            "set: docs has no values, which the output CONTEXT needs");
}

TEST_F(AdmitScoreTest, NamesQueriesThatDoNotFitTheKeySet) {
  Put("docs", {.leading = {}, .d = 3}, 10);
  ScoreCall call = Call({2, 4}, {});
  call.key_set = "docs";
  EXPECT_THAT(Refusal(call), HasSubstr("key set docs.shape: got [10, 3]"));
}

TEST_F(AdmitScoreTest, AKeySetAndATensorTogetherAreRefused) {
  Put("docs", {.leading = {}, .d = 3}, 10);
  ScoreCall call = Call({2, 3}, {4, 3});
  call.key_set = "docs";
  EXPECT_EQ(Refusal(call), "k: got a tensor, expected none beside a set");
}

}  // namespace
}  // namespace qkserve
