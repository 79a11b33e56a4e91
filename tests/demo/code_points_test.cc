#include "demo/code_points.h"

#include <gtest/gtest.h>

#include <string>

namespace qkserve {
namespace {

TEST(CodePointsTest, DecodesSequencesOfEveryLength) { EXPECT_EQ(DecodeUtf8("aé€😀"), U"aé€😀"); }

TEST(CodePointsTest, InvalidBytesStayDistinct) {
  const std::u32string lone = {kInvalidByte + 0x80, kInvalidByte + 0xFF};
  EXPECT_EQ(DecodeUtf8("\x80\xff"), lone);
  // Overlong forms, surrogates, code points beyond the range, and sequences that are cut off are no
  // characters. Each of their bytes is invalid by itself.
  EXPECT_EQ(DecodeUtf8("\xc0\x80").size(), 2u);
  EXPECT_EQ(DecodeUtf8("\xe0\x80\x80").size(), 3u);
  EXPECT_EQ(DecodeUtf8("\xed\xa0\x80").size(), 3u);
  EXPECT_EQ(DecodeUtf8("\xf4\x90\x80\x80").size(), 4u);
  EXPECT_EQ(DecodeUtf8("\xe2\x82").size(), 2u);
}

TEST(CodePointsTest, PrintableClipKeepsWhatFits) {
  EXPECT_EQ(PrintableClip("größer", 6), "größer");
  EXPECT_EQ(PrintableClip("aé€😀", 4), "aé€😀");
}

TEST(CodePointsTest, PrintableClipCutsByCharacters) {
  EXPECT_EQ(PrintableClip("größer als", 8), "größe...");
  EXPECT_EQ(PrintableClip("abcdef", 2), "..");
  EXPECT_EQ(PrintableClip("abc", 0), "");
}

TEST(CodePointsTest, PrintableClipDisarmsTerminalCommands) {
  EXPECT_EQ(PrintableClip("a\x1b[31mb\x07", 80), "a [31mb ");
  EXPECT_EQ(PrintableClip("a\xc2\x9b"
                          "31m",
                          80),
            "a 31m");
  EXPECT_EQ(PrintableClip("a\xff", 80), "a\xef\xbf\xbd");
}

}  // namespace
}  // namespace qkserve
