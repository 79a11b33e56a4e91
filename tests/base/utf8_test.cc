#include "base/utf8.h"

#include <string>

#include "gtest/gtest.h"

namespace qkserve {
namespace {

TEST(Utf8Test, TextIsCutBetweenCharacters) {
  const std::string text = "aé€𝄞";  // 1, 2, 3 and 4 bytes
  for (const auto& [bytes_max, prefix] :
       {std::pair(0, ""), std::pair(1, "a"), std::pair(2, "a"), std::pair(3, "aé"),
        std::pair(4, "aé"), std::pair(5, "aé"), std::pair(6, "aé€"), std::pair(9, "aé€"),
        std::pair(10, "aé€𝄞"), std::pair(11, "aé€𝄞")}) {
    EXPECT_EQ(Utf8Prefix(text, bytes_max), prefix) << bytes_max;
  }
}

TEST(Utf8Test, TextThatIsNotUtf8IsCutSomewhere) {
  EXPECT_EQ(Utf8Prefix(std::string(20, '\x80'), 10).size(), 10);
  EXPECT_EQ(Utf8Prefix(std::string(20, '\xFF'), 10).size(), 10);
}

TEST(Utf8Test, BytesThatAreNoCharacterAreReplaced) {
  const std::string good = "aé€𝄞\uFFFD";
  EXPECT_EQ(ValidUtf8(good), good);
  for (const char* bad : {"\x80", "\xC3", "\xC0", "\xFF", "\xF5"}) {
    EXPECT_EQ(ValidUtf8(std::string("a") + bad + "b"), "a\uFFFDb");
  }
  EXPECT_EQ(ValidUtf8("\xE2\x82"), "\uFFFD\uFFFD");                      // an end is missing
  EXPECT_EQ(ValidUtf8("\xC0\xAF"), "\uFFFD\uFFFD");                      // an overlong slash
  EXPECT_EQ(ValidUtf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");            // a surrogate
  EXPECT_EQ(ValidUtf8("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");  // beyond U+10FFFF
}

}  // namespace
}  // namespace qkserve
