// The directory testdata/format_1, which version 0.1.0 wrote, still loads. The same changes still
// produce the same files.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/key_sets/storage/key_set_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "qkserve/limits.h"
#include "tests/support/key_set_rows.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

using testing::IsEmpty;
using testing::UnorderedElementsAreArray;
using Mode = KeySetDirectory::Mode;

const KeySetLayout kLayout = {.leading = {2}, .d = 3, .dv = 2, .value_type = DataType::kFloat16};

// A set of the directory. Its parts were put and appended at consecutive versions.
struct Written {
  std::string name;
  KeySetLayout layout;
  std::vector<Part> parts;
  bool is_merged = false;  // the set is merged after each append
  bool is_deleted = false;
};

// The sets in the order in which they were written.
std::vector<Written> WrittenSets() {
  std::vector<Written> sets;
  const std::vector<KeySetLayout> layouts = LayoutsOfAllKinds();
  for (size_t i = 0; i < layouts.size(); ++i) {
    sets.push_back({absl::StrCat("kind-", i), layouts[i], {{i, 70}, {i + 100, 30}}});
  }
  std::vector<Part> many = {{1, 5}};
  for (uint64_t i = 0; i < 20; ++i) many.push_back({10 + i, 2});
  sets.push_back({"merged", kLayout, many, /*is_merged=*/true});
  sets.push_back({"empty", kLayout, {{1, 0}}});
  sets.push_back({"replaced", kLayout, {{1, 4}}});
  sets.push_back({"replaced", layouts[2], {{2, 3}}});
  sets.push_back({"deleted", kLayout, {{1, 4}}, /*is_merged=*/false, /*is_deleted=*/true});
  return sets;
}

constexpr int64_t kLastVersion = 41;

void Change(KeySetDirectory& directory, const Written& set, const Part& part, int64_t version,
            bool is_append) {
  auto segment = directory.NewSegment(set.name, set.layout, part.rows).value();
  ASSERT_TRUE(WritePart(set.layout, part, *segment).ok());
  const absl::Status status = is_append ? directory.Append(set.name, version, std::move(segment))
                                        : directory.Put(set.name, version, std::move(segment));
  ASSERT_TRUE(status.ok()) << status;
}

// The files below `path`, except the lock.
std::map<std::string, std::string> FilesBelow(const std::string& path) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    if (!entry.is_regular_file() || entry.path().filename() == ".lock") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    files[std::filesystem::relative(entry.path(), path)] =
        std::string(std::istreambuf_iterator<char>(file), {});
  }
  return files;
}

class FormatCompatibilityTest : public testing::Test {
 protected:
  std::unique_ptr<KeySetDirectory> Open(Mode mode) {
    return KeySetDirectory::Open(FileSystem::Posix(), path_, mode).value();
  }

  void ExpectSet(const KeySetDirectory& directory, const Written& written, int64_t version,
                 int64_t base_version) {
    const auto set = directory.Load(written.name, &budget_, nullptr);
    ASSERT_TRUE(set.ok()) << set.status();
    EXPECT_EQ((*set)->version(), version);
    EXPECT_EQ((*set)->base_version(), base_version);
    EXPECT_TRUE(Contents(**set) == Contents(*BuildKeySet(written.layout, written.parts, &budget_)));
  }

  const TemporaryDirectory temporary_;
  const std::string path_ = temporary_.Path("sets");
  ByteBudget budget_{"key_set_memory", kGiB};
};

TEST_F(FormatCompatibilityTest, LoadsWhatWasWrittenAndAppendsToIt) {
  std::filesystem::copy(QKSERVE_TESTDATA "/format_1", path_,
                        std::filesystem::copy_options::recursive);
  std::vector<std::pair<Written, int64_t>> sets;  // each with the version of its put
  int64_t version = 0;
  for (const Written& written : WrittenSets()) {
    if (!sets.empty() && sets.back().first.name == written.name) sets.pop_back();
    sets.emplace_back(written, version + 1);
    version += static_cast<int64_t>(written.parts.size());
    if (written.is_deleted) sets.pop_back();
  }
  ASSERT_EQ(version, kLastVersion);
  {
    const auto reader = Open(Mode::kReader);
    EXPECT_THAT(reader->notes(), IsEmpty());
    EXPECT_EQ(reader->ListNames()->size(), sets.size());
  }
  const auto directory = Open(Mode::kWriter);
  EXPECT_THAT(directory->notes(), IsEmpty());
  EXPECT_EQ(directory->last_version(), kLastVersion);
  std::vector<int64_t> versions;
  for (auto& [set, put_version] : sets) {
    SCOPED_TRACE(set.name);
    const auto parts = static_cast<int64_t>(set.parts.size());
    ExpectSet(*directory, set, put_version + parts - 1, put_version);
    set.parts.push_back({500, 7});
    Change(*directory, set, set.parts.back(), ++version, /*is_append=*/true);
    versions.push_back(version);
  }
  const auto reader = Open(Mode::kReader);
  for (size_t i = 0; i < sets.size(); ++i) {
    SCOPED_TRACE(sets[i].first.name);
    ExpectSet(*reader, sets[i].first, versions[i], sets[i].second);
  }
}

TEST_F(FormatCompatibilityTest, TheSameChangesGiveTheSameFiles) {
  int64_t version = 0;
  auto directory = Open(Mode::kWriter);
  for (const Written& set : WrittenSets()) {
    for (size_t i = 0; i < set.parts.size(); ++i) {
      Change(*directory, set, set.parts[i], ++version, /*is_append=*/i > 0);
      if (set.is_merged) {
        ASSERT_TRUE(MergeSegments(*directory, set.name).ok());
      }
    }
    if (set.is_deleted) {
      ASSERT_TRUE(directory->Delete(set.name).ok());
    }
  }
  directory = nullptr;
  EXPECT_THAT(FilesBelow(path_),
              UnorderedElementsAreArray(FilesBelow(QKSERVE_TESTDATA "/format_1")));
}

}  // namespace
}  // namespace qkserve
