#include "demo/text_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace qkserve {
namespace {

using ::testing::HasSubstr;

std::string WriteFile(const std::string& content) {
  std::string path =
      ::testing::TempDir() + ::testing::UnitTest::GetInstance()->current_test_info()->name();
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

TEST(TextFileTest, ReadsAFileWhole) {
  const std::string content = "first\n\n" + std::string(200'000, 'x') + "\r\nlast";
  const auto file = ReadTextFile(WriteFile(content));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->text, content);
  EXPECT_TRUE(file->complete);
}

TEST(TextFileTest, StopsAtTheByteLimit) {
  const std::string path = WriteFile("12345");
  EXPECT_TRUE(ReadTextFile(path, 5)->complete);
  EXPECT_EQ(ReadTextFile(path, 4)->text, "1234");
  EXPECT_FALSE(ReadTextFile(path, 4)->complete);
}

TEST(TextFileTest, RefusesWhatIsNoText) {
  const auto file = ReadTextFile(WriteFile(std::string("one\ntw\0", 7)));
  EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(file.status().message()), HasSubstr("in line 2"));
}

TEST(TextFileTest, NamesWhatCannotBeRead) {
  EXPECT_EQ(ReadTextFile(::testing::TempDir() + "absent").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_FALSE(ReadTextFile(::testing::TempDir()).ok());
}

}  // namespace
}  // namespace qkserve
