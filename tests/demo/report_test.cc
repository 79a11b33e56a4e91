#include "demo/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "demo/code_points.h"
#include "qkserve/buffer.h"

namespace qkserve {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

size_t LongestLine(const std::string& text) {
  size_t longest = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    longest = std::max(longest, DecodeUtf8(line).size());
  }
  return longest;
}

template <typename T>
Tensor TensorOf(DataType type, const Shape& shape, const std::vector<T>& values) {
  Tensor tensor = {type, shape, Buffer::Allocate(values.size() * sizeof(T)).value()};
  std::memcpy(tensor.data.data(), values.data(), values.size() * sizeof(T));
  return tensor;
}

std::vector<Question> Questions(const std::vector<std::string>& texts) {
  std::vector<Question> questions;
  for (const std::string& text : texts) questions.push_back({text});
  return questions;
}

const std::vector<Passage>& Passages() {
  static const auto* passages = new std::vector<Passage>{
      {"a.md:1", "The first passage", ""},
      {"a.md:2", "The second passage", ""},
      {std::string(200, 'p') + "/b.md:3", std::string(90, 'x') + std::string(300, ' ') + "\x1b[2J",
       ""},
  };
  return *passages;
}

TEST(AnswersOfTest, FindsThePassagesOfEachQuestion) {
  ScoreResult result;
  result.result = TensorOf<float>(DataType::kFloat32, {2, 2}, {0.9F, 0.5F, 0.1F, 0});
  result.indices = TensorOf<int32_t>(DataType::kInt32, {2, 2}, {1, 0, 2, 1});
  const auto answers = AnswersOf(result, Questions({"one", "two"}), Passages());
  ASSERT_TRUE(answers.ok()) << answers.status();
  ASSERT_EQ(answers->size(), 2u);
  ASSERT_EQ((*answers)[0].hits.size(), 2u);
  EXPECT_EQ((*answers)[0].hits[0].passage, &Passages()[1]);
  EXPECT_EQ((*answers)[0].hits[1].score, 0.5F);
  ASSERT_EQ((*answers)[1].hits.size(), 1u);  // a score of 0 is no match
  EXPECT_EQ((*answers)[1].hits[0].passage, &Passages()[2]);
}

TEST(AnswersOfTest, RefusesAReplyOfAnotherForm) {
  ScoreResult result;
  result.result = TensorOf<float>(DataType::kFloat32, {1, 1}, {0.9F});
  EXPECT_EQ(AnswersOf(result, Questions({"one"}), Passages()).status().code(),
            absl::StatusCode::kInternal);
  result.indices = TensorOf<int32_t>(DataType::kInt32, {1, 1}, {3});
  EXPECT_EQ(AnswersOf(result, Questions({"one"}), Passages()).status().code(),
            absl::StatusCode::kInternal);
  result.indices = TensorOf<int32_t>(DataType::kInt32, {1, 1}, {2});
  EXPECT_TRUE(AnswersOf(result, Questions({"one"}), Passages()).ok());
  EXPECT_FALSE(AnswersOf(result, Questions({"one", "two"}), Passages()).ok());
}

TEST(ReportTest, EverySectionFits80Columns) {
  const std::string long_name(300, 'n');
  KeySetInfo key_set;
  key_set.name = long_name;
  key_set.memory_bytes = int64_t{1} << 40;
  v1::GetStatusResponse status;
  status.set_version("12.34.56");
  status.set_workers(128);
  status.set_key_set_kernel("AVX3_SPR");
  EXPECT_LE(LongestLine(TextSection({long_name + "/a", long_name}, 10'000, false)), 80u);
  EXPECT_LE(LongestLine(ServerSection(long_name, status, key_set, absl::Seconds(100))), 80u);

  std::vector<Answer> answers = {{{long_name, long_name + "/long.md:12345"}, {}}, {{"b"}, {}}};
  for (const Passage& passage : Passages()) answers[0].hits.push_back({&passage, 1.25F});
  std::reverse(answers[0].hits.begin(), answers[0].hits.end());
  const std::string text = AnswerSection(answers, {}, absl::Seconds(12));
  EXPECT_LE(LongestLine(text), 80u);
  EXPECT_THAT(text, HasSubstr("The second passage"));
  EXPECT_THAT(text, HasSubstr(".../b.md:3"));
  EXPECT_THAT(text, HasSubstr("no passage has a word of it"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));

  SharedPassReport report;
  report.own_calls = report.one_caller = {4'999'999, absl::Seconds(1)};
  report.together = {9'999'999, absl::Seconds(1)};
  report.requests_of_a_pass = 10'000;
  EXPECT_LE(LongestLine(SharedPassSection(report, 1000, 128, key_set)), 80u);
}

TEST(ReportTest, RatioIsTheMeasuredOne) {
  SharedPassReport report;
  report.own_calls = {100, absl::Seconds(2)};
  report.one_caller = {120, absl::Seconds(2)};
  report.together = {350, absl::Seconds(2)};
  report.requests_of_a_pass = 15.7;
  KeySetInfo key_set;
  key_set.name = "demo-catalogue";
  const std::string text = SharedPassSection(report, 64, 2, key_set);
  EXPECT_THAT(text, HasSubstr("3.5 times as many"));
  EXPECT_THAT(text, HasSubstr("175 requests/s  ############################\n"));
  EXPECT_THAT(text, HasSubstr("50 requests/s  ########\n"));
  EXPECT_THAT(text, HasSubstr("16 of them on average"));
  EXPECT_THAT(text, HasSubstr("Each of the 350 answers"));
}

}  // namespace
}  // namespace qkserve
