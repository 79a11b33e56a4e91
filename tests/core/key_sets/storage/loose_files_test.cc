#include "core/key_sets/storage/loose_files.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/key_sets/key_set_layout.h"
#include "formats/safetensors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/key_set_directory_fixture.h"

namespace qkserve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const KeySetLayout& kLayout = kDirectoryTestLayout;

class LooseFilesTest : public KeySetDirectoryFixture {
 protected:
  // A file as another tool writes it.
  std::string LooseFile(const std::vector<std::string>& names, const Part& part) {
    std::vector<SafetensorsEntry> entries;
    for (const std::string& name : names) {
      const bool values = name == "values";
      entries.push_back(
          {.name = name,
           .type = values ? kLayout.value_type : kLayout.key_type,
           .shape = values ? kLayout.ValueShape(part.rows) : kLayout.KeyShape(part.rows)});
    }
    std::string contents = MakeSafetensorsHeader(entries);
    for (const std::string& name : names) {
      for (int64_t matrix = 0; matrix < 2; ++matrix) {
        for (int64_t row = 0; row < part.rows; ++row) {
          const ColumnId column = name == "values" ? ColumnId::kValues : ColumnId::kKeys;
          for (const std::byte byte : RowBytes(kLayout, column, part.seed, matrix, row)) {
            contents.push_back(static_cast<char>(byte));
          }
        }
      }
    }
    return contents;
  }
};

TEST_F(LooseFilesTest, TheWriterImportsThem) {
  ASSERT_TRUE(Put(*Open(), "other", 8, {1, 10}).ok());
  Write("/sets/both.safetensors", LooseFile({"values", "keys"}, {2, 100}));
  Write("/sets/one.safetensors", LooseFile({"embeddings"}, {3, 50}));
  Write("/sets/more.safetensors", LooseFile({"ids", "keys", "notes"}, {3, 50}));
  {
    const auto reader = Open(Mode::kReader);
    ASSERT_EQ(reader->notes().size(), 3U);
    EXPECT_THAT(reader->notes()[0], HasSubstr("/sets/both.safetensors: is not served"));
    EXPECT_THAT(*reader->ListNames(), ElementsAre("other"));
  }
  KeySetLayout keys_only = kLayout;
  keys_only.dv = std::nullopt;
  keys_only.value_type = DataType::kFloat32;
  {
    const auto directory = Open();
    EXPECT_THAT(directory->notes(), IsEmpty());
    EXPECT_THAT(*directory->ListNames(), ElementsAre("both", "more", "one", "other"));
    EXPECT_EQ(*directory->StoredVersion("both"), 9);
    EXPECT_EQ(*directory->StoredVersion("more"), 10);
    EXPECT_EQ(*directory->StoredVersion("one"), 11);
    EXPECT_THAT(FilesIn("/sets"), ElementsAre(".synced"));
    for (int64_t version = 12; version < 41; ++version) {
      ASSERT_TRUE(Append(*directory, "both", version, {4, 7}).ok());
      ASSERT_TRUE(MergeSegments(*directory, "both").ok());
    }
  }
  const auto directory = Open();
  std::vector<Part> parts = {{2, 100}};
  parts.resize(30, {4, 7});
  ExpectContents(*directory, "both", parts);
  ExpectContents(*directory, "one", {{3, 50}}, keys_only);
  ExpectContents(*directory, "more", {{3, 50}}, keys_only);
}

TEST_F(LooseFilesTest, AFileThatCannotBeImportedIsLeftAndNoted) {
  ASSERT_TRUE(Put(*Open(), "a", 1, {1, 10}).ok());
  const std::string good = LooseFile({"keys"}, {2, 10});
  Write("/sets/a.safetensors", good);
  Write("/sets/b.safetensors", "not one");
  Write("/sets/bad name.safetensors", good);
  Write("/sets/c.safetensors", LooseFile({"queries", "weights"}, {2, 10}));
  ASSERT_TRUE(files_->MakeDirectory("/sets/d.safetensors").ok());
  const auto directory = Open();
  ASSERT_EQ(directory->notes().size(), 4U);
  EXPECT_THAT(directory->notes()[0], HasSubstr("a.safetensors: is not served: there is a key set"));
  EXPECT_THAT(directory->notes()[1], HasSubstr("b.safetensors: is not served"));
  EXPECT_THAT(directory->notes()[2], HasSubstr("bad name.safetensors: is not served: name"));
  EXPECT_THAT(directory->notes()[3], HasSubstr("expected the tensors \"keys\""));
  EXPECT_THAT(*directory->ListNames(), ElementsAre("a"));
  EXPECT_EQ(Read("/sets/a.safetensors"), good);
  EXPECT_EQ(FilesIn("/sets").size(), 5U);
}

}  // namespace
}  // namespace qkserve
