#include "base/byte_size.h"

#include <limits>

#include "gtest/gtest.h"

namespace qkserve {
namespace {

int64_t Parsed(absl::string_view text) {
  int64_t bytes = -1;
  return ParseByteSize(text, &bytes) ? bytes : -1;
}

TEST(ByteSizeTest, ReadsBytesAndUnits) {
  EXPECT_EQ(Parsed("0"), 0);
  EXPECT_EQ(Parsed("1073741824"), int64_t{1} << 30);
  EXPECT_EQ(Parsed("0x400"), 1024);
  EXPECT_EQ(Parsed("2GiB"), int64_t{2} << 30);
  EXPECT_EQ(Parsed("512MiB"), int64_t{512} << 20);
  EXPECT_EQ(Parsed("1GB"), 1'000'000'000);
  EXPECT_EQ(Parsed("3 kb"), 3000);
  EXPECT_EQ(Parsed(" 2Gi "), int64_t{2} << 30);
  EXPECT_EQ(Parsed("1.5GiB"), int64_t{3} << 29);
  EXPECT_EQ(Parsed("1TB"), 1'000'000'000'000);
}

TEST(ByteSizeTest, RefusesWhatIsNoSize) {
  for (const char* text :
       {"", "GiB", "2G", "2M", "2GiBs", "1.2.3GiB", "1.5", ".", "two", "2 2GiB", "9000000TiB",
        "8388608TiB", "9223372036854775808", "-1GiB", "1e3KiB", "infKiB"}) {
    EXPECT_EQ(Parsed(text), -1) << text;
  }
}

TEST(ByteSizeTest, WritesTheSameSizeShort) {
  for (const char* text : {"0", "1", "1023", "1KiB", "256MiB", "2GiB", "3TiB", "1KB", "1GB", "10GB",
                           "1500MB", "1536MiB", "2147483647", "-1"}) {
    int64_t bytes = 0;
    ASSERT_TRUE(ParseByteSize(text, &bytes)) << text;
    EXPECT_EQ(FormatByteSize(bytes), text);
  }
  EXPECT_EQ(FormatByteSize(std::numeric_limits<int64_t>::max()), "9223372036854775807");
}

TEST(ByteSizeTest, RoundsInTheUnitThatReadsBest) {
  EXPECT_EQ(RoundByteSize(0), "0 B");
  EXPECT_EQ(RoundByteSize(1023), "1023 B");
  EXPECT_EQ(RoundByteSize(1024), "1.0 KiB");
  EXPECT_EQ(RoundByteSize(30'720'000), "29.3 MiB");
  EXPECT_EQ(RoundByteSize((int64_t{1} << 30) - 1), "1.0 GiB");
  EXPECT_EQ(RoundByteSize(int64_t{3} << 40), "3.0 TiB");
  EXPECT_EQ(RoundByteSize(std::numeric_limits<int64_t>::max()), "8192.0 PiB");
}

}  // namespace
}  // namespace qkserve
