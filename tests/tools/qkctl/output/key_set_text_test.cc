#include "tools/qkctl/output/key_set_text.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "tools/report/text_table.h"

namespace qkserve {
namespace {

KeySetInfo Items() {
  KeySetInfo info;
  info.name = "items";
  info.version = 3;
  info.keys = {DataType::kBfloat16, {10000, 768}};
  info.memory_bytes = 15'360'000;
  info.requests_served = 1234;
  return info;
}

TEST(KeySetTableTest, AlignsItsColumns) {
  KeySetInfo memory = Items();
  memory.name = "a.memory";
  memory.version = 1000;
  memory.keys.shape = {8, 10, 64};
  memory.values = TensorSpec{DataType::kFloat32, {8, 10, 32}};
  EXPECT_EQ(KeySetTable({memory, Items()}, 80),
            "NAME      VERSION  KEYS          VALUES    TYPE                 MEMORY  REQUESTS\n"
            "a.memory     1000  [8, 10, 64]   [.., 32]  BFLOAT16, FLOAT32  14.6 MiB      1234\n"
            "items           3  [10000, 768]  -         BFLOAT16           14.6 MiB      1234\n");
  EXPECT_EQ(KeySetTable({Items()}, 80),
            "NAME   VERSION  KEYS          TYPE        MEMORY  REQUESTS\n"
            "items        3  [10000, 768]  BFLOAT16  14.6 MiB      1234\n");
  EXPECT_EQ(KeySetTable({}, 80), "no key sets\n");
}

TEST(KeySetTableTest, FitsATerminal) {
  KeySetInfo memory = Items();
  memory.name = std::string(64, 'a') + std::string(64, 'b');
  const auto expect_fits = [](const std::string& text) {
    for (const std::string& line : std::vector<std::string>(absl::StrSplit(text, '\n'))) {
      EXPECT_LE(line.size(), 80u) << text;
    }
  };
  const std::string cut = KeySetTable({memory, Items()}, 80);
  expect_fits(cut);
  EXPECT_TRUE(absl::StrContains(cut, "aaa...bbb")) << cut;
  EXPECT_TRUE(absl::StrContains(cut, "\nitems  ")) << cut;

  memory.version = memory.requests_served = INT64_MAX;
  memory.keys.shape = {128, 128, 10'000'000, 4096};
  memory.values = TensorSpec{DataType::kFloat32, {128, 128, 10'000'000, 4096}};
  memory.problem = "base.safetensors: " + std::string(30, 'x') + " " + std::string(60, 'y');
  expect_fits(KeySetTable({memory, Items()}, 80));
  memory.version = 0;
  expect_fits(KeySetTable({memory, Items()}, 80));
}

TEST(KeySetTableTest, FitsANarrowTerminal) {
  KeySetInfo memory = Items();
  memory.name = std::string(64, 'a') + std::string(64, 'b');
  memory.problem = "base.safetensors: checksum differs from that of the manifest";
  const std::string table = KeySetTable({memory, Items()}, 40);
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(table, '\n'))) {
    EXPECT_LE(line.size(), 40u) << table;
  }
}

TEST(KeySetTableTest, HasOneLineARowIfTheWidthIsNotLimited) {
  KeySetInfo memory = Items();
  memory.name = std::string(64, 'a') + std::string(64, 'b');
  memory.keys.shape = {128, 128, 10'000'000, 4096};
  KeySetInfo damaged;
  damaged.name = "damaged";
  damaged.problem = std::string(60, 'x') + " " + std::string(60, 'y');
  const std::string table = KeySetTable({memory, Items(), damaged}, kUnlimitedColumns);
  const std::vector<std::string> lines = absl::StrSplit(table, '\n');
  ASSERT_EQ(lines.size(), 5u) << table;
  EXPECT_TRUE(absl::StartsWith(lines[1], memory.name + "        3  [128, 128, ")) << table;
  EXPECT_TRUE(absl::StartsWith(lines[2], "items  ")) << table;
  EXPECT_TRUE(absl::EndsWith(lines[3], "  " + damaged.problem)) << table;
}

TEST(KeySetTableTest, ShowsTheProblemOfDamagedSetsAndKeepsTheTerminalSafe) {
  KeySetInfo damaged;
  damaged.name = "it\x1bms";
  damaged.problem = "base.safetensors: checksum\ndiffers";
  EXPECT_EQ(KeySetTable({damaged}, 80),
            "NAME   VERSION  KEYS  TYPE  MEMORY  REQUESTS\n"
            "it ms        -  base.safetensors: checksum differs\n");
}

TEST(KeySetJsonTest, HasTheFieldsOfTheMessage) {
  EXPECT_EQ(KeySetJson(Items()).dump(),
            R"({"name":"items","version":3,"keys":{"data_type":"BFLOAT16","shape":[10000,768]},)"
            R"("values":null,"memory_bytes":15360000,"requests_served":1234,"problem":null})");
  KeySetInfo damaged;
  damaged.name = "items";
  damaged.problem = "gone";
  EXPECT_EQ(KeySetJson(damaged).dump(),
            R"({"name":"items","version":null,"keys":null,"values":null,"memory_bytes":0,)"
            R"("requests_served":0,"problem":"gone"})");
}

}  // namespace
}  // namespace qkserve
