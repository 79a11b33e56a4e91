#include "core/key_sets/storage/manifest.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/key_sets/key_set_name.h"
#include "core/key_sets/limits.h"
#include "core/key_sets/storage/checksum.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "qkserve/limits.h"

namespace qkserve {
namespace {

using testing::HasSubstr;

Manifest AManifest() {
  return {
      .name = "items",
      .version = 12,
      .base_version = 9,
      .layout = {.leading = {2, 3},
                 .d = 64,
                 .key_type = DataType::kBfloat16,
                 .dv = 32,
                 .value_type = DataType::kFloat16},
      .segments = {{.file = "a.safetensors", .keys = 1000, .bytes = 5, .checksum = ~uint64_t{0}},
                   {.file = "b.safetensors", .keys = 0, .bytes = 7, .checksum = 1}}};
}

TEST(ManifestTest, ReadsWhatItWrites) {
  Manifest manifest = AManifest();
  EXPECT_EQ(manifest.Keys(), 1000);
  auto parsed = ParseManifest("items", FormatManifest(manifest));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_TRUE(*parsed == manifest);
  manifest.layout = {.leading = {}, .d = 0};
  parsed = ParseManifest("items", FormatManifest(manifest));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_TRUE(*parsed == manifest);
}

// The text is well-formed and has the right checksum, but FormatManifest would never make it.
TEST(ManifestTest, RefusesWhatMakesNoSense) {
  const auto problem_with = [](auto change) {
    Manifest manifest = AManifest();
    change(manifest);
    const absl::Status status = ParseManifest("items", FormatManifest(manifest)).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(problem_with([](Manifest& m) { m.name = "other"; }), HasSubstr("key set other"));
  EXPECT_THAT(problem_with([](Manifest& m) { m.version = 0; }), HasSubstr("\"version\""));
  EXPECT_THAT(problem_with([](Manifest& m) { m.version = -5; }), HasSubstr("\"version\""));
  EXPECT_THAT(problem_with([](Manifest& m) { m.base_version = 13; }), HasSubstr("base_version"));
  EXPECT_THAT(problem_with([](Manifest& m) { m.layout.d = -1; }), HasSubstr("\"d\""));
  EXPECT_THAT(problem_with([](Manifest& m) { m.layout.d = int64_t{1} << 60; }), HasSubstr("large"));
  EXPECT_THAT(problem_with([](Manifest& m) { m.layout.dv = int64_t{1} << 60; }),
              HasSubstr("large"));
  EXPECT_THAT(problem_with([](Manifest& m) {
                m.layout.leading = {1, 2, 3};
              }),
              HasSubstr("leading"));
  EXPECT_THAT(problem_with([](Manifest& m) { m.layout.leading = {-1}; }), HasSubstr("leading"));
  EXPECT_THAT(problem_with([](Manifest& m) { m.layout.key_type = DataType::kInt32; }),
              HasSubstr("key_type"));
  EXPECT_THAT(problem_with([](Manifest& m) { m.segments.clear(); }), HasSubstr("segments"));
  EXPECT_THAT(problem_with([](Manifest& m) { m.segments[0].keys = kKeySetKeysMax + 1; }),
              HasSubstr("keys"));
  EXPECT_THAT(problem_with([](Manifest& m) { m.segments[1].keys = kKeySetKeysMax; }),
              HasSubstr("keys"));
  EXPECT_THAT(problem_with([](Manifest& m) { m.segments[1].bytes = -1; }), HasSubstr("bytes"));
  for (const char* const file : {"../a", "/etc/passwd", "", "..", ".hidden", "a/b"}) {
    EXPECT_THAT(problem_with([&](Manifest& m) { m.segments[0].file = file; }), HasSubstr("file"));
  }
}

TEST(ManifestTest, RefusesDamageInEveryByte) {
  const std::string text = FormatManifest(AManifest());
  for (size_t i = 0; i < text.size(); ++i) {
    for (const int flip : {1, 2, 32, 128}) {
      std::string damaged = text;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      EXPECT_TRUE(absl::IsDataLoss(ParseManifest("items", damaged).status())) << damaged;
    }
    EXPECT_TRUE(absl::IsDataLoss(ParseManifest("items", text.substr(0, i)).status()));
  }
  EXPECT_TRUE(absl::IsDataLoss(ParseManifest("items", text + " ").status()));
}

TEST(ManifestTest, RefusesOtherJson) {
  const std::string text = FormatManifest(AManifest());
  const std::string twice = absl::StrCat("{\"version\": 12,", text.substr(1));
  std::string wide = "{\"leading\": [0";
  std::string many = "{";
  std::string segments = "{\"segments\": [{}";
  std::string arrays = "{\"segments\": [[]";
  std::string nulls = "{\"segments\": [null";
  std::string deep;
  for (int i = 0; i < 100000; ++i) {
    wide += ",0";
    absl::StrAppend(&many, "\"", i, "\": 0,");
    segments += ",{}";
    arrays += ",[]";
    nulls += ",null";
    deep += "{\"a\":";
  }
  for (const std::string& other :
       {std::string(kMiB, '['), "{\"segments\": " + std::string(kMiB, '['), twice, wide, many,
        segments, arrays, nulls, deep, "{\"segments\": [" + many,
        "{\"name\": \"" + std::string(kMiB, 'a'), std::string("{\"name\": null}"),
        std::string("[]"), std::string("5"), std::string(), text + text,
        text + std::string(1, '\0'), "\xef\xbb\xbf" + text}) {
    const absl::Status status = ParseManifest("items", other).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << other.substr(0, 60);
    EXPECT_LT(status.message().size(), 200U);
  }
}

TEST(ManifestTest, SaysWhereTheFormatIsAnother) {
  for (const auto& [text, said] :
       {std::pair(R"({"format": 2, "segments": [{"rows": 7}]})", "is of format 2, "),
        std::pair(R"({"format": "2"})", "is of format ?, "),
        std::pair("x", "is no JSON object, ")}) {
    EXPECT_EQ(ParseManifest("items", text).status().message(),
              absl::StrCat(said, "this version reads format 1"));
  }
}

TEST(ChecksumTest, PiecesGiveThatOfTheWhole) {
  // The 64-bit XXH3 of an empty text with seed 0, from the algorithm's own tests.
  EXPECT_EQ(ChecksumOf(""), 0x2D06800538D394C2U);
  const std::string text(1000, 'x');
  Checksum checksum;
  checksum.Add(reinterpret_cast<const std::byte*>(text.data()), 400);
  checksum.Add(nullptr, 0);
  checksum.Add(reinterpret_cast<const std::byte*>(text.data()), 600);
  EXPECT_EQ(checksum.Value(), ChecksumOf(text));
  EXPECT_EQ(ChecksumText(0xabc), "0000000000000abc");
}

TEST(KeySetNameTest, AllowsPlainNamesOnly) {
  for (const char* const name : {"a", "A-1_b.c", "lock", "0", "x.safetensors"}) {
    EXPECT_TRUE(ValidateKeySetName(name).ok()) << name;
  }
  EXPECT_TRUE(ValidateKeySetName(std::string(128, 'a')).ok());
  for (const std::string name : {"", ".", "..", ".a", "a/b", "a b", "\xc3\xa4", "a\n"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ValidateKeySetName(name))) << name;
  }
  EXPECT_FALSE(ValidateKeySetName(std::string("a\0", 2)).ok());
  const absl::Status status = ValidateKeySetName(std::string(100000, 'a'));
  EXPECT_FALSE(status.ok());
  EXPECT_LT(status.message().size(), 300U);
}

}  // namespace
}  // namespace qkserve
