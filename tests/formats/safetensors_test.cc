#include "formats/safetensors.h"

#include <initializer_list>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <utility>
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

std::string WithLength(absl::string_view header) {
  std::string file(kSafetensorsLengthBytes, '\0');
  for (size_t i = 0; i < file.size(); ++i) file[i] = static_cast<char>(header.size() >> (8 * i));
  return absl::StrCat(file, header);
}

// Parses the header of a file in which `data_bytes` bytes follow the header.
absl::StatusOr<SafetensorsEntries> ParseSafetensorsHeader(absl::string_view header,
                                                          int64_t data_bytes) {
  const std::string file = WithLength(header);
  int64_t next = 0;
  absl::StatusOr<SafetensorsHeader> read = ReadSafetensorsHeader(
      static_cast<int64_t>(file.size()) + data_bytes, [&](int64_t offset, int64_t count, char* to) {
        EXPECT_EQ(offset, next);
        next = offset + count;
        file.copy(to, static_cast<size_t>(count), static_cast<size_t>(offset));
        return absl::OkStatus();
      });
  if (!read.ok()) return read.status();
  EXPECT_EQ(next, static_cast<int64_t>(file.size()));
  EXPECT_EQ(read->data_offset, next);
  return read->entries;
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
  // The text that Python's safetensors.numpy.save writes.
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

// Headers that the reference implementation refuses, or that the format's description forbids.
TEST(SafetensorsTest, RefusesWhatTheReferenceRefuses) {
  const std::string info = R"({"dtype":"F32","shape":[2,2],"data_offsets":[0,16]})";
  const std::string fine = absl::StrCat(R"({"keys":)", info, "}");
  const auto with_field = [](absl::string_view field) {
    return absl::StrCat(R"({"keys":{"dtype":"F32","shape":[2,2],)", field,
                        R"(,"data_offsets":[0,16]}})");
  };
  const auto with_metadata = [&](absl::string_view metadata) {
    return absl::StrCat(R"({"__metadata__":)", metadata, R"(,"keys":)", info, "}");
  };
  for (const std::string& header :
       {fine, fine + "  \n\t\r ", with_field(R"("x":[{"a":[1,-1,1.5,null,true,"t"],"a":{}}])"),
        with_metadata("null"), with_metadata("{}"), with_metadata(R"({"a":"1","b":"1"})"),
        with_field(absl::StrCat("\"x\":", std::string(120, '['), std::string(120, ']'))),
        std::string(R"({"\u00e4":)") + info + "}"}) {
    EXPECT_TRUE(ParseSafetensorsHeader(header, 16).ok()) << header;
  }
  const std::pair<std::string, const char*> cases[] = {
      {absl::StrCat(R"({"keys":)", info, R"(,"keys":)", info, "}"), "\"keys\": comes twice"},
      {absl::StrCat(R"({"keys":)", info, R"(,"k\u0065ys":)", info, "}"), "comes twice"},
      {with_field(R"("shape":[2,2])"), "names a field twice"},
      {with_field(R"("dtype":"F32")"), "names a field twice"},
      {with_field(R"("data_offsets":[0,16])"), "names a field twice"},
      {with_field(R"("x":1,"x":1)"), "names a field twice"},
      {with_metadata(R"({"a":"1","a":"2"})"), "names a field twice"},
      {with_metadata(R"({},"__metadata__":{})"), "\"__metadata__\": comes twice"},
      {with_metadata(R"({"a":1})"), "not a text"},
      {with_metadata(R"({"a":{}})"), "not a text"},
      {with_metadata("[]"), "expected an object"},
      {"\xef\xbb\xbf" + fine, "does not begin with '{'"},
      {" " + fine, "does not begin with '{'"},
      {fine + std::string(2, '\0'), "NUL"},
      {fine + std::string(1, '\0') + fine, "NUL"},
      {fine + "x", "not a JSON object"},
      {fine + fine, "not a JSON object"},
      {fine + "\xff", "not a JSON object"},
      {absl::StrCat("{\"k\xff\":", info, "}"), "not a JSON object"},
      {absl::StrCat(R"({"\ud800":)", info, "}"), "not a JSON object"},
      {absl::StrCat("{/**/\"k\":", info, "}"), "not a JSON object"},
      {with_field(R"("x":1e999)"), "not a JSON object"},
      {R"({"k":{"dtype":"F33","shape":[2,2],"data_offsets":[0,16]}})", "none of the format"},
      {R"({"k":{"dtype":"I64","shape":[2,2],"data_offsets":[0,16]}})", "not what its shape"},
      {R"({"k":{"dtype":"F4","shape":[31],"data_offsets":[0,16]}})", "not what its shape"},
      {R"({"k":{"dtype":"F32","shape":[4],"data_offsets":[-0,16]}})", "data_offsets"},
      {R"({"k":{"dtype":"F32","shape":[4],"data_offsets":[0,16,16]}})", "data_offsets"},
      {R"({"k":{"shape":[4],"data_offsets":[0,16]}})", "dtype"},
      {R"({"k":{"dtype":"F32","data_offsets":[0,16]}})", "shape"},
      {R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[8,8]},)"
       R"("b":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})",
       "where the one before it ends"},
  };
  for (const auto& [header, problem] : cases) {
    const absl::Status status = ParseSafetensorsHeader(header, 16).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << header << " " << status;
    EXPECT_THAT(status.message(), HasSubstr(problem)) << header;
  }
}

TEST(SafetensorsTest, FindsATensorByNameOrTheOnlyOne) {
  SafetensorsHeader header;
  EXPECT_EQ(header.FindOrOnly("keys"), nullptr);
  header.entries.push_back({.name = "a", .shape = {}});
  EXPECT_EQ(header.Find("keys"), nullptr);
  EXPECT_EQ(header.FindOrOnly("keys"), &header.entries[0]);
  header.entries.push_back({.name = "keys", .shape = {}});
  EXPECT_EQ(header.Find("keys"), &header.entries[1]);
  EXPECT_EQ(header.FindOrOnly("keys"), &header.entries[1]);
  EXPECT_EQ(header.FindOrOnly("values"), nullptr);
}

TEST(SafetensorsTest, PassesOverTheFormatsOtherTypes) {
  for (const auto& [dtype, bits] : std::initializer_list<std::pair<const char*, int>>{
           {"BOOL", 8}, {"F4", 4}, {"F6_E2M3", 6}, {"F8_E5M2", 8}, {"U16", 16}, {"C64", 64}}) {
    const auto parsed =
        ParseSafetensorsHeader(absl::StrCat(R"({"k":{"dtype":")", dtype,
                                            R"(","shape":[8],"data_offsets":[0,)", bits, "]}}"),
                               bits);
    ASSERT_TRUE(parsed.ok()) << dtype << " " << parsed.status();
    EXPECT_EQ(parsed->front().type, std::nullopt);
    EXPECT_EQ(parsed->front().dtype, dtype);
  }
}

// Memory does not grow with the depth of the header or the length of a text, because the parser
// stops at its limits.
TEST(SafetensorsTest, RefusesDeepAndLongHeadersEarly) {
  const std::string info = R"({"dtype":"F32","shape":[2,2],"x":)";
  const std::string deep(8 * kMiB, '[');
  std::string objects;
  while (objects.size() < size_t{kMiB}) objects += "{\"a\":";
  const std::pair<std::string, int64_t> cases[] = {
      {deep, kMiB / 8},
      {"{\"a\":" + deep, kMiB / 8},
      {"{\"a\":" + info + deep, kMiB / 8},
      {objects, kMiB / 8},
      {"{\"a\":" + info + objects, kMiB / 8},
      {absl::StrCat(R"({"a":{"dtype":"F32","shape":[)", std::string(20, '1'), ",", deep), kMiB / 8},
      {"{\"" + std::string(8 * kMiB, 'a'), kSafetensorsTextBytesMax + kMiB / 8},
      {"{\"a\":" + info + std::string(8 * kMiB, '1'), kSafetensorsTextBytesMax + kMiB / 8},
  };
  for (const auto& [header, bytes_max] : cases) {
    int64_t end = 0;
    const std::string file = WithLength(header);
    const absl::Status status =
        ReadSafetensorsHeader(static_cast<int64_t>(file.size()), [&](int64_t offset, int64_t count,
                                                                     char* to) {
          end = offset + count;
          file.copy(to, static_cast<size_t>(count), static_cast<size_t>(offset));
          return absl::OkStatus();
        }).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_LT(end, bytes_max) << header.substr(0, 60);
    EXPECT_LT(status.message().size(), 300U);
  }
}

// For any input, the returned tensors lie within the file.
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
