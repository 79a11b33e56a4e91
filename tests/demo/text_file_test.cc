#include "demo/text_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace qkserve {
namespace {

using ::testing::ElementsAre;

std::string WriteFile(const std::string& content) {
  std::string path =
      ::testing::TempDir() + ::testing::UnitTest::GetInstance()->current_test_info()->name();
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

TEST(TextFileTest, KeepsLinesThatAreNotBlankWithTheirNumbers) {
  const auto text = ReadTextFile(WriteFile("first\n\n  \t\r\n  fourth \r\nlast"));
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(text->lines, ElementsAre("first", "fourth", "last"));
  EXPECT_THAT(text->numbers, ElementsAre(1, 4, 5));
  EXPECT_TRUE(text->complete);
  EXPECT_EQ(text->cut_lines, 0);
}

TEST(TextFileTest, StopsAtTheLineLimit) {
  const auto text = ReadTextFile(WriteFile("a\nb\nc\n"), {.lines_max = 2});
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(text->lines, ElementsAre("a", "b"));
  EXPECT_FALSE(text->complete);
}

TEST(TextFileTest, IsCompleteWithExactlyTheLineLimit) {
  const auto text = ReadTextFile(WriteFile("a\nb\n"), {.lines_max = 2});
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_TRUE(text->complete);
}

TEST(TextFileTest, CutsLongLines) {
  const std::string content = absl::StrCat(std::string(200'000, 'x'), "\nnext\n");
  const auto text = ReadTextFile(WriteFile(content), {.line_bytes_max = 10});
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(text->lines, ElementsAre("xxxxxxxxxx", "next"));
  EXPECT_EQ(text->cut_lines, 1);
}

TEST(TextFileTest, StopsAtTheByteLimit) {
  const auto text = ReadTextFile(WriteFile(std::string(200'000, 'x')), {.bytes_max = 1});
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_FALSE(text->complete);
}

TEST(TextFileTest, RefusesWhatIsNoText) {
  EXPECT_EQ(ReadTextFile(WriteFile("")).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadTextFile(WriteFile(" \n\n\t\n")).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadTextFile(WriteFile(std::string("a\n\0b", 4))).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(TextFileTest, SaysWhyAFileCannotBeRead) {
  const absl::Status missing = ReadTextFile("/nonexistent/file").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()), ::testing::HasSubstr("/nonexistent/file"));
  EXPECT_FALSE(ReadTextFile(::testing::TempDir()).ok());
}

}  // namespace
}  // namespace qkserve
