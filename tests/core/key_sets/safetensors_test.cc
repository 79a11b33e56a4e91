#include "core/key_sets/safetensors.h"

#include <limits>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

using testing::HasSubstr;

absl::string_view HeaderOf(const std::string& file) {
  return absl::string_view(file).substr(kSafetensorsLengthBytes);
}

absl::StatusOr<int64_t> LengthOf(uint64_t length, int64_t file_bytes) {
  std::byte bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<std::byte>(length >> (8 * i));
  return ParseSafetensorsLength(bytes, file_bytes);
}

std::vector<SafetensorsEntry> Entries() {
  return {{.name = "keys", .type = DataType::kFloat16, .shape = {2, 3, 5}},
          {.name = "values", .type = DataType::kBfloat16, .shape = {2, 3, 0}}};
}

TEST(SafetensorsTest, ReadsWhatItWrites) {
  std::vector<SafetensorsEntry> entries = Entries();
  const std::string file = MakeSafetensorsHeader(entries);
  EXPECT_EQ(file.size() % 64, 0U);
  EXPECT_EQ(*ParseSafetensorsLength(reinterpret_cast<const std::byte*>(file.data()),
                                    static_cast<int64_t>(file.size())),
            static_cast<int64_t>(file.size()) - 8);
  const auto parsed = ParseSafetensorsHeader(HeaderOf(file), 60);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  ASSERT_EQ(parsed->size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ((*parsed)[i].name, entries[i].name);
    EXPECT_EQ((*parsed)[i].type, entries[i].type);
    EXPECT_EQ((*parsed)[i].shape, entries[i].shape);
    EXPECT_EQ((*parsed)[i].offset, entries[i].offset);
    EXPECT_EQ((*parsed)[i].bytes, entries[i].bytes);
  }
}

TEST(SafetensorsTest, ReadsWhatOthersWrite) {
  // As Python's safetensors.numpy.save writes it.
  const auto parsed = ParseSafetensorsHeader(
      R"({"__metadata__":{"format":"pt","model":"m"},"values":{"dtype":"F32","shape":[2,1],)"
      R"("data_offsets":[24,32]},"keys":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}   )",
      32);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  ASSERT_EQ(parsed->size(), 2U);
  EXPECT_EQ((*parsed)[0].name, "keys");
  EXPECT_EQ((*parsed)[1].name, "values");
  EXPECT_EQ((*parsed)[1].offset, 24);
}

TEST(SafetensorsTest, NamesTypesThatItDoesNotKnow) {
  const auto parsed =
      ParseSafetensorsHeader(R"({"ids":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},)"
                             R"("keys":{"dtype":"F32","shape":[2,1],"data_offsets":[16,24]}})",
                             24);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ((*parsed)[0].type, std::nullopt);
  EXPECT_EQ((*parsed)[0].dtype, "I64");
  EXPECT_EQ((*parsed)[1].type, DataType::kFloat32);
}

TEST(SafetensorsTest, LimitsTheLengthOfTheHeader) {
  EXPECT_EQ(*LengthOf(0, 8), 0);
  EXPECT_EQ(*LengthOf(100, 108), 100);
  EXPECT_FALSE(LengthOf(100, 107).ok());
  EXPECT_FALSE(LengthOf(kSafetensorsHeaderBytesMax + 1, int64_t{1} << 40).ok());
  EXPECT_FALSE(LengthOf(std::numeric_limits<uint64_t>::max(), 100).ok());
  EXPECT_FALSE(LengthOf(uint64_t{1} << 63, 100).ok());
}

TEST(SafetensorsTest, RefusesWhatIsNotAHeader) {
  const auto tensor = [](const char* dtype, const char* shape, const char* offsets) {
    return absl::StrCat(R"({"t":{"dtype":)", dtype, R"(,"shape":)", shape, R"(,"data_offsets":)",
                        offsets, "}}");
  };
  ASSERT_TRUE(ParseSafetensorsHeader(tensor(R"("F32")", "[2,2]", "[0,16]"), 16).ok());
  const struct {
    std::string header;
    const char* problem;
  } cases[] = {
      {"", "not a JSON object"},
      {"[]", "not a JSON object"},
      {"{\"t\":", "not a JSON object"},
      {std::string(100000, '['), "not a JSON object"},
      {R"({"t":5})", "expected an object"},
      {R"({"t":{}})", "dtype"},
      {tensor("4", "[2,2]", "[0,16]"), "dtype"},
      {tensor("\"F32\"", "[2,-2]", "[0,16]"), "shape"},
      {tensor("\"F32\"", "[2,2.0]", "[0,16]"), "shape"},
      {tensor("\"F32\"", "4", "[0,16]"), "shape"},
      {tensor("\"F32\"", "[1,1,1,1,1,1,1,1,4]", "[0,16]"), "shape"},
      {tensor("\"F32\"", "[2,18446744073709551615]", "[0,16]"), "shape"},
      {tensor("\"F32\"", "[4294967296,4294967296]", "[0,16]"), "not what its shape"},
      {tensor("\"F32\"", "[4611686018427387904]", "[0,0]"), "not what its shape"},
      {tensor("\"F32\"", "[2,2]", "[0,15]"), "has 15 bytes"},
      {tensor("\"F32\"", "[2,2]", "[16,0]"), "data_offsets"},
      {tensor("\"F32\"", "[2,2]", "[0]"), "data_offsets"},
      {tensor("\"F32\"", "[2,2]", "[4,20]"), "where the one before it ends"},
      {tensor("\"F32\"", "[2,1]", "[0,8]"), "have 8 bytes, there are 16"},
      {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},)"
       R"("b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})",
       "where the one before it ends"},
      {"{}", "have 0 bytes"},
  };
  for (const auto& item : cases) {
    const absl::Status status = ParseSafetensorsHeader(item.header, 16).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << item.header.substr(0, 100) << " " << status;
    EXPECT_THAT(status.message(), HasSubstr(item.problem)) << item.header.substr(0, 100);
  }
}

// Whatever comes in, what comes out lies within the file.
TEST(SafetensorsTest, SurvivesRandomDamage) {
  std::mt19937_64 random(1);
  std::vector<SafetensorsEntry> entries = Entries();
  entries[1].shape = {2, 3, 7};
  const std::string original(HeaderOf(MakeSafetensorsHeader(entries)));
  const int64_t data_bytes = entries[1].offset + entries[1].bytes;
  int parsed_count = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string header = original;
    for (uint64_t change = random() % 4; change < 4; ++change) {
      const size_t at = random() % header.size();
      switch (random() % 4) {
        case 0:
          header[at] = static_cast<char>(random());
          break;
        case 1:
          header[at] = "0123456789[]{}\",:-e"[random() % 19];
          break;
        case 2:
          header.erase(at, random() % 8);
          break;
        default:
          header = absl::StrCat(header.substr(0, at),
                                header.substr(random() % header.size(), random() % 16),
                                header.substr(at));
      }
      if (header.empty()) header.push_back(' ');
    }
    const auto parsed = ParseSafetensorsHeader(header, data_bytes);
    if (!parsed.ok()) continue;
    ++parsed_count;
    for (const SafetensorsEntry& entry : *parsed) {
      ASSERT_GE(entry.offset, 0);
      ASSERT_GE(entry.bytes, 0);
      ASSERT_LE(entry.offset + entry.bytes, data_bytes);
      if (!entry.type.has_value()) continue;
      ASSERT_EQ(*ElementCount(entry.shape) * ElementBytes(*entry.type), entry.bytes);
    }
  }
  EXPECT_GT(parsed_count, 0);
}

}  // namespace
}  // namespace qkserve
