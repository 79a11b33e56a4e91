#include "core/key_sets/storage/key_set_directory.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/key_sets/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "qkserve/limits.h"
#include "tests/support/forgetful_file_system.h"
#include "tests/support/key_set_rows.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Mode = KeySetDirectory::Mode;

const KeySetLayout kLayout = {.leading = {2},
                              .d = 3,
                              .key_type = DataType::kFloat32,
                              .dv = 2,
                              .value_type = DataType::kFloat16};

class KeySetDirectoryTest : public testing::Test {
 protected:
  std::unique_ptr<KeySetDirectory> Open(Mode mode = Mode::kWriter) {
    auto directory = KeySetDirectory::Open(files_, path_, mode);
    EXPECT_TRUE(directory.ok()) << directory.status();
    return *std::move(directory);
  }

  absl::Status Put(KeySetDirectory& directory, const std::string& name, int64_t version,
                   const Part& part, const KeySetLayout& layout = kLayout) {
    auto segment = directory.NewSegment(name, layout, part.rows);
    if (!segment.ok()) return segment.status();
    absl::Status status = WritePart(layout, part, **segment);
    return status.ok() ? directory.Put(name, version, *std::move(segment)) : status;
  }
  absl::Status Append(KeySetDirectory& directory, const std::string& name, int64_t version,
                      const Part& part, const KeySetLayout& layout = kLayout) {
    auto segment = directory.NewSegment(name, layout, part.rows);
    if (!segment.ok()) return segment.status();
    absl::Status status = WritePart(layout, part, **segment);
    return status.ok() ? directory.Append(name, version, *std::move(segment)) : status;
  }

  absl::StatusOr<std::string> LoadedContents(const KeySetDirectory& directory,
                                             const std::string& name) {
    auto set = directory.Load(name, &budget_, nullptr);
    if (!set.ok()) return set.status();
    return Contents(**set);
  }
  std::string Expected(const std::vector<Part>& parts, const KeySetLayout& layout = kLayout) {
    return Contents(*BuildKeySet(layout, parts, &budget_));
  }
  void ExpectContents(const KeySetDirectory& directory, const std::string& name,
                      const std::vector<Part>& parts, const KeySetLayout& layout = kLayout) {
    const auto contents = LoadedContents(directory, name);
    ASSERT_TRUE(contents.ok()) << contents.status();
    EXPECT_TRUE(*contents == Expected(parts, layout)) << name;
  }

  std::vector<std::string> FilesIn(const std::string& path) {
    std::vector<std::string> names;
    const auto entries = files_->List(path);
    EXPECT_TRUE(entries.ok()) << entries.status();
    for (const FileSystem::Entry& entry : *entries) {
      if (!entry.is_directory) names.push_back(entry.name);
    }
    return names;
  }
  std::string Read(const std::string& path) { return *ReadFile(files_, path, kMiB); }
  void Write(const std::string& path, const std::string& contents) {
    auto file = files_->Create(path);
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE((*file)
                    ->WriteAt(0, reinterpret_cast<const std::byte*>(contents.data()),
                              static_cast<int64_t>(contents.size()))
                    .ok());
    ASSERT_TRUE((*file)->Sync().ok());
  }

  ForgetfulFileSystem memory_;
  FileSystem* files_ = &memory_;
  std::string path_ = "/sets";
  ByteBudget budget_{"key_set_memory", kGiB};
};

TEST_F(KeySetDirectoryTest, KeepsEveryTypeAndRankBitForBit) {
  const TemporaryDirectory temporary;
  files_ = FileSystem::Posix();
  path_ = temporary.path() + "/sets/";
  const std::vector<KeySetLayout> layouts = LayoutsOfAllKinds();
  {
    const auto directory = Open();
    int64_t version = 0;
    for (size_t i = 0; i < layouts.size(); ++i) {
      const std::string name = absl::StrCat("set-", i);
      ASSERT_TRUE(Put(*directory, name, ++version, {.seed = i, .rows = 70}, layouts[i]).ok());
      ASSERT_TRUE(
          Append(*directory, name, ++version, {.seed = i + 100, .rows = 130}, layouts[i]).ok());
      ASSERT_TRUE(
          Append(*directory, name, ++version, {.seed = i + 200, .rows = 1}, layouts[i]).ok());
    }
  }
  for (const Mode mode : {Mode::kWriter, Mode::kReader}) {
    const auto directory = Open(mode);
    EXPECT_THAT(directory->notes(), IsEmpty());
    EXPECT_EQ(directory->last_version(), static_cast<int64_t>(3 * layouts.size()));
    for (size_t i = 0; i < layouts.size(); ++i) {
      const std::string name = absl::StrCat("set-", i);
      ExpectContents(*directory, name, {{i, 70}, {i + 100, 130}, {i + 200, 1}}, layouts[i]);
      const auto set = directory->Load(name, &budget_, nullptr);
      EXPECT_EQ((*set)->name(), name);
      EXPECT_EQ((*set)->version(), static_cast<int64_t>(3 * i + 3));
      EXPECT_EQ((*set)->base_version(), static_cast<int64_t>(3 * i + 1));
    }
  }
}

TEST_F(KeySetDirectoryTest, RowsMayComeInAnyOrder) {
  const auto directory = Open();
  auto segment = *directory->NewSegment("a", kLayout, 40);
  for (const int64_t row : {20, 0, 30, 10}) {
    for (const int64_t matrix : {1, 0}) {
      for (int64_t i = row; i < row + 10; ++i) {
        const auto keys = RowBytes(kLayout, ColumnId::kKeys, 5, matrix, i);
        const auto values = RowBytes(kLayout, ColumnId::kValues, 5, matrix, i);
        ASSERT_TRUE(segment->Write(ColumnId::kValues, matrix, i, 1, values.data()).ok());
        ASSERT_TRUE(segment->Write(ColumnId::kKeys, matrix, i, 1, keys.data()).ok());
      }
    }
  }
  ASSERT_TRUE(directory->Put("a", 1, std::move(segment)).ok());
  ExpectContents(*directory, "a", {{5, 40}});
}

TEST_F(KeySetDirectoryTest, ASetMayBeEmptyAndGrow) {
  const auto directory = Open();
  ASSERT_TRUE(Put(*directory, "a", 1, {1, 0}).ok());
  ExpectContents(*directory, "a", {{1, 0}});
  ASSERT_TRUE(Append(*directory, "a", 2, {2, 0}).ok());
  ASSERT_TRUE(Append(*directory, "a", 3, {3, 5}).ok());
  ExpectContents(*directory, "a", {{3, 5}});
}

TEST_F(KeySetDirectoryTest, APutReplacesAndLeavesNoOldFiles) {
  const auto directory = Open();
  ASSERT_TRUE(Put(*directory, "a", 1, {1, 10}).ok());
  ASSERT_TRUE(Append(*directory, "a", 2, {2, 10}).ok());
  const KeySetLayout other = {.leading = {}, .d = 9, .key_type = DataType::kBfloat16};
  ASSERT_TRUE(Put(*directory, "a", 3, {3, 4}, other).ok());
  ExpectContents(*directory, "a", {{3, 4}}, other);
  EXPECT_EQ(*directory->StoredVersion("a"), 3);
  EXPECT_THAT(FilesIn("/sets/a"), ElementsAre("manifest.json", "segment-3-0-4.safetensors"));
  EXPECT_THAT(FilesIn("/sets"), ElementsAre());
}

TEST_F(KeySetDirectoryTest, ASegmentThatComesToNothingLeavesNothing) {
  const auto directory = Open();
  {
    const auto segment = *directory->NewSegment("a", kLayout, 10);
    EXPECT_THAT(FilesIn("/sets"), ElementsAre(".segment-a-0.tmp"));
  }
  EXPECT_THAT(FilesIn("/sets"), IsEmpty());
  auto segment = *directory->NewSegment("a", kLayout, 10);
  EXPECT_EQ(directory->Put("a", 1, std::move(segment)).code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(absl::IsNotFound(directory->StoredVersion("a").status()));
}

TEST_F(KeySetDirectoryTest, RefusesWhatDoesNotFit) {
  const auto directory = Open();
  EXPECT_TRUE(absl::IsNotFound(Append(*directory, "a", 1, {1, 10})));
  EXPECT_TRUE(absl::IsNotFound(directory->Delete("a")));
  EXPECT_TRUE(absl::IsNotFound(MergeSegments(*directory, "a").status()));
  EXPECT_TRUE(absl::IsNotFound(LoadedContents(*directory, "a").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Put(*directory, "../a", 1, {1, 10})));
  EXPECT_TRUE(absl::IsInvalidArgument(LoadedContents(*directory, "../a").status()));
  ASSERT_TRUE(Put(*directory, "a", 2, {1, 10}).ok());
  KeySetLayout other = kLayout;
  other.d = 4;
  EXPECT_TRUE(absl::IsInvalidArgument(Append(*directory, "a", 3, {1, 10}, other)));
  EXPECT_TRUE(
      absl::IsInvalidArgument(directory->NewSegment("a", kLayout, kKeySetKeysMax + 1).status()));
  ExpectContents(*directory, "a", {{1, 10}});
}

TEST_F(KeySetDirectoryTest, LoadSaysWhereThereIsNoMemory) {
  const auto directory = Open();
  ASSERT_TRUE(Put(*directory, "a", 1, {1, 1000}).ok());
  ByteBudget small("key_set_memory", 1000);
  EXPECT_TRUE(absl::IsResourceExhausted(directory->Load("a", &small, nullptr).status()));
  EXPECT_EQ(small.bytes(), 0);
}

TEST_F(KeySetDirectoryTest, WithACurrentVersionOnlyWhatIsNewIsRead) {
  const auto directory = Open();
  ASSERT_TRUE(Put(*directory, "a", 1, {1, 8192}).ok());
  const auto first = *directory->Load("a", &budget_, nullptr);
  EXPECT_EQ(*directory->Load("a", &budget_, first), first);
  ++first->requests_served();
  ASSERT_TRUE(Append(*directory, "a", 2, {2, 30}).ok());
  ASSERT_TRUE(Append(*directory, "a", 3, {3, 100}).ok());
  ASSERT_TRUE(files_->Remove("/sets/a/segment-1-0-8192.safetensors").ok());
  const int64_t before = budget_.bytes();
  const auto grown = directory->Load("a", &budget_, first);
  ASSERT_TRUE(grown.ok()) << grown.status();
  EXPECT_TRUE(Contents(**grown) == Expected({{1, 8192}, {2, 30}, {3, 100}}));
  EXPECT_LT(budget_.bytes() - before, first->memory_bytes());
  EXPECT_EQ((*grown)->requests_served(), 1);
  EXPECT_EQ((*grown)->base_version(), 1);
  EXPECT_TRUE(absl::IsDataLoss(LoadedContents(*directory, "a").status()));
}

TEST_F(KeySetDirectoryTest, ACurrentVersionOfAnEarlierPutIsReadAnew) {
  const auto directory = Open();
  ASSERT_TRUE(Put(*directory, "a", 1, {1, 100}).ok());
  const auto first = *directory->Load("a", &budget_, nullptr);
  ASSERT_TRUE(Put(*directory, "a", 2, {2, 200}).ok());
  const auto second = directory->Load("a", &budget_, first);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(Contents(**second) == Expected({{2, 200}}));
}

TEST_F(KeySetDirectoryTest, MergingKeepsWhatIsThereAndBoundsTheSegments) {
  for (const KeySetLayout& layout : LayoutsOfAllKinds()) {
    const auto directory = Open();
    int64_t version = directory->last_version();
    std::vector<Part> parts = {{.seed = 1, .rows = 500}};
    ASSERT_TRUE(Put(*directory, "a", ++version, parts[0], layout).ok());
    const auto first = *directory->Load("a", &budget_, nullptr);
    size_t merges = 0;
    for (uint64_t i = 0; i < 40; ++i) {
      parts.push_back({.seed = i, .rows = static_cast<int64_t>(i % 3)});
      ASSERT_TRUE(Append(*directory, "a", ++version, parts.back(), layout).ok());
      const auto merged = MergeSegments(*directory, "a");
      ASSERT_TRUE(merged.ok()) << merged.status();
      merges += *merged ? 1 : 0;
    }
    EXPECT_GE(merges, 2U);
    EXPECT_LE(FilesIn("/sets/a").size(), 20U);
    EXPECT_EQ(*directory->StoredVersion("a"), version);
    ExpectContents(*directory, "a", parts, layout);
    const auto grown = directory->Load("a", &budget_, first);
    ASSERT_TRUE(grown.ok()) << grown.status();
    EXPECT_TRUE(Contents(**grown) == Expected(parts, layout));
  }
}

TEST_F(KeySetDirectoryTest, AnAppendDoesTheSameWhateverTheSizeOfTheSet) {
  const auto directory = Open();
  ASSERT_TRUE(Put(*directory, "small", 1, {1, 10}).ok());
  ASSERT_TRUE(Put(*directory, "large", 2, {1, 10000}).ok());
  std::vector<int64_t> operations;
  int64_t version = 2;
  for (const char* const name : {"small", "large"}) {
    const int64_t before = memory_.operations();
    ASSERT_TRUE(Append(*directory, name, ++version, {1, 16}).ok());
    operations.push_back(memory_.operations() - before);
  }
  EXPECT_EQ(operations[0], operations[1]);
  EXPECT_LE(operations[0], 12);
}

TEST_F(KeySetDirectoryTest, MergingDoesNotHideDamage) {
  const auto directory = Open();
  ASSERT_TRUE(Put(*directory, "a", 1, {1, 10}).ok());
  for (int64_t version = 2; version <= 17; ++version) {
    ASSERT_TRUE(Append(*directory, "a", version, {1, 10}).ok());
  }
  const std::string file = "/sets/a/segment-5-40-50.safetensors";
  std::string contents = Read(file);
  contents.back() ^= 1;
  Write(file, contents);
  const absl::Status status = MergeSegments(*directory, "a").status();
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_THAT(status.message(), HasSubstr(file));
  EXPECT_THAT(FilesIn("/sets"), IsEmpty());
}

TEST_F(KeySetDirectoryTest, VersionsAreNeverUsedAgain) {
  {
    const auto directory = Open();
    EXPECT_EQ(directory->last_version(), 0);
    ASSERT_TRUE(Put(*directory, "a", 5, {1, 10}).ok());
    EXPECT_EQ(directory->last_version(), 5);
    ASSERT_TRUE(Append(*directory, "a", 7, {1, 10}).ok());
    ASSERT_TRUE(directory->Delete("a").ok());
    EXPECT_THAT(*directory->ListNames(), IsEmpty());
    EXPECT_EQ(directory->last_version(), 7);
    EXPECT_FALSE(files_->Exists("/sets/a"));
  }
  EXPECT_EQ(Open()->last_version(), 7);
  // Even if the file that says so is damaged, or the manifest of the newest set.
  for (const char* const text : {"8 0123456789abcdef\n", "", "999999999999999999999 x"}) {
    Write("/sets/.last_version", text);
    const int64_t last_version = Open()->last_version();
    EXPECT_GT(last_version, 7);
    const auto directory = Open();
    EXPECT_EQ(directory->last_version(), last_version);
    EXPECT_THAT(directory->notes(), IsEmpty());
  }
  const int64_t version = Open()->last_version() + 1;
  ASSERT_TRUE(Put(*Open(), "a", version, {1, 10}).ok());
  Write("/sets/a/manifest.json", "{}");
  EXPECT_EQ(Open()->last_version(), version);
}

// Where the disk is full the name of what is removed remembers the version.
TEST_F(KeySetDirectoryTest, ADeleteNeedsNoSpace) {
  for (int64_t operation = 0; operation < 12; ++operation) {
    int64_t version = 0;
    {
      const auto directory = Open();
      version = directory->last_version() + 1;
      ASSERT_TRUE(Put(*directory, "a", version, {1, 10}).ok());
      memory_.FailAt(memory_.operations() + operation, /*effect=*/false);
      if (operation >= 2) {
        EXPECT_TRUE(directory->Delete("a").ok()) << operation;
      } else {
        EXPECT_FALSE(directory->Delete("a").ok());
        EXPECT_TRUE(directory->Delete("a").ok());
      }
      EXPECT_FALSE(files_->Exists("/sets/a"));
      memory_.FailAt(-1, /*effect=*/false);
    }
    memory_.Crash(static_cast<uint64_t>(operation));
    const auto directory = Open();
    EXPECT_GE(directory->last_version(), version);
    EXPECT_THAT(*directory->ListNames(), IsEmpty());
    EXPECT_THAT(*files_->List("/sets"), testing::SizeIs(1));  // .last_version
  }
}

TEST_F(KeySetDirectoryTest, DamageAnywhereIsFoundAndStaysWithItsSet) {
  {
    const auto directory = Open();
    ASSERT_TRUE(Put(*directory, "bad", 1, {1, 9}).ok());
    ASSERT_TRUE(Append(*directory, "bad", 2, {2, 3}).ok());
    ASSERT_TRUE(Put(*directory, "good", 3, {3, 10}).ok());
  }
  for (const std::string& file : FilesIn("/sets/bad")) {
    const std::string path = "/sets/bad/" + file;
    const std::string original = Read(path);
    std::vector<std::string> damaged = {"", original + "x", original.substr(0, 7)};
    for (size_t i = 0; i < original.size(); ++i) {
      damaged.push_back(original);
      damaged.back()[i] ^= static_cast<char>(1 << (i % 8));
      if (i % 16 == 1) damaged.push_back(original.substr(0, i));
    }
    for (const std::string& contents : damaged) {
      Write(path, contents);
      const auto directory = Open(Mode::kReader);
      const absl::Status status = LoadedContents(*directory, "bad").status();
      ASSERT_TRUE(absl::IsDataLoss(status)) << status << "\n" << contents;
      ASSERT_THAT(status.message(), HasSubstr(path));
      ASSERT_TRUE(LoadedContents(*directory, "good").ok());
    }
    Write(path, original);
    if (file == "manifest.json") continue;
    ASSERT_TRUE(files_->Remove(path).ok());
    const absl::Status status = LoadedContents(*Open(Mode::kReader), "bad").status();
    ASSERT_TRUE(absl::IsDataLoss(status)) << status;
    ASSERT_THAT(status.message(), HasSubstr(path));
    Write(path, original);
  }
  ExpectContents(*Open(), "bad", {{1, 9}, {2, 3}});
}

TEST_F(KeySetDirectoryTest, ADamagedSetIsListedKeptAndMayBePutAnewOrDeleted) {
  for (const bool put : {true, false}) {
    {
      const auto directory = Open();
      const int64_t version = directory->last_version() + 1;
      ASSERT_TRUE(Put(*directory, "a", version, {1, 10}).ok());
    }
    Write("/sets/a/manifest.json", "{\"format\":2}");
    const auto directory = Open();
    ASSERT_EQ(directory->notes().size(), 1U);
    EXPECT_THAT(directory->notes()[0], HasSubstr("/sets/a/manifest.json: is not of format 1"));
    EXPECT_THAT(*directory->ListNames(), ElementsAre("a"));
    EXPECT_EQ(FilesIn("/sets/a").size(), 2U);
    EXPECT_TRUE(absl::IsDataLoss(directory->StoredVersion("a").status()));
    EXPECT_TRUE(absl::IsDataLoss(Append(*directory, "a", 100, {1, 10})));
    if (put) {
      ASSERT_TRUE(Put(*directory, "a", 101, {2, 10}).ok());
      ExpectContents(*directory, "a", {{2, 10}});
      EXPECT_EQ(FilesIn("/sets/a").size(), 2U);
    } else {
      ASSERT_TRUE(directory->Delete("a").ok());
      EXPECT_FALSE(files_->Exists("/sets/a"));
    }
  }
}

TEST_F(KeySetDirectoryTest, AManifestCannotBeThatOfAnotherSet) {
  ASSERT_TRUE(Put(*Open(), "a", 1, {1, 10}).ok());
  ASSERT_TRUE(files_->Rename("/sets/a", "/sets/b").ok());
  const absl::Status status = LoadedContents(*Open(), "b").status();
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_THAT(status.message(), HasSubstr("is that of the key set a"));
}

TEST_F(KeySetDirectoryTest, TheWriterClearsWhatInterruptedWritesLeft) {
  ASSERT_TRUE(Put(*Open(), "a", 1, {1, 10}).ok());
  for (const char* const folder : {"/sets/.put-b-0.tmp", "/sets/.deleted-c-1.tmp", "/sets/d"}) {
    ASSERT_TRUE(files_->MakeDirectory(folder).ok());
  }
  for (const char* const path :
       {"/sets/.segment-a-0.tmp", "/sets/.last_version.tmp", "/sets/a/segment-2-10-20.safetensors",
        "/sets/a/manifest.json.tmp", "/sets/.put-b-0.tmp/segment-3-0-1.safetensors",
        "/sets/.put-b-0.tmp/manifest.json", "/sets/.deleted-c-1.tmp/manifest.json"}) {
    Write(path, "x");
  }
  for (const char* const path : {"/sets/a/README", "/sets/notes.txt", "/sets/d/notes.txt"}) {
    Write(path, "mine");
  }
  EXPECT_THAT(FilesIn("/sets/a").size(), 5U);
  static_cast<void>(Open(Mode::kReader));
  EXPECT_THAT(FilesIn("/sets/a").size(), 5U);
  const auto directory = Open();
  EXPECT_THAT(FilesIn("/sets/a"),
              ElementsAre("README", "manifest.json", "segment-1-0-10.safetensors"));
  EXPECT_THAT(FilesIn("/sets"), ElementsAre(".synced", "notes.txt"));
  EXPECT_FALSE(files_->Exists("/sets/.put-b-0.tmp"));
  EXPECT_FALSE(files_->Exists("/sets/.deleted-c-1.tmp"));
  EXPECT_THAT(FilesIn("/sets/d"), ElementsAre("notes.txt"));
  ExpectContents(*directory, "a", {{1, 10}});
}

TEST_F(KeySetDirectoryTest, OnlySetsThatMayNotBeDurableAreSyncedWhenTheWriterOpens) {
  {
    const auto directory = Open();
    for (int64_t i = 1; i <= 20; ++i) {
      ASSERT_TRUE(Put(*directory, absl::StrCat("set", i), i, {1, 10}).ok());
    }
  }
  auto before = memory_.operations();
  auto directory = Open();
  EXPECT_LT(memory_.operations() - before, 5);
  // One changes, and the process is killed.
  ASSERT_TRUE(Put(*directory, "set3", 21, {2, 5}).ok());
  memory_.StopAt(memory_.operations());
  directory = nullptr;
  memory_.Restart();
  before = memory_.operations();
  directory = Open();
  EXPECT_LT(memory_.operations() - before, 12);
  ExpectContents(*directory, "set3", {{2, 5}});
  // Where nobody knows, all are.
  directory = nullptr;
  ASSERT_TRUE(files_->Remove("/sets/.synced").ok());
  before = memory_.operations();
  directory = Open();
  EXPECT_GT(memory_.operations() - before, 20);
}

TEST_F(KeySetDirectoryTest, HalfACopyOfASetAnswersDataLossAndIsKept) {
  ASSERT_TRUE(Put(*Open(), "a", 1, {1, 10}).ok());
  ASSERT_TRUE(files_->Remove("/sets/a/manifest.json").ok());
  for (const Mode mode : {Mode::kReader, Mode::kWriter}) {
    const auto directory = Open(mode);
    EXPECT_THAT(*directory->ListNames(), ElementsAre("a"));
    const absl::Status status = LoadedContents(*directory, "a").status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(status.message(), HasSubstr("/sets/a/manifest.json: is missing"));
    EXPECT_THAT(directory->notes(), ElementsAre(HasSubstr("manifest.json: is missing")));
    EXPECT_THAT(FilesIn("/sets/a"), ElementsAre("segment-1-0-10.safetensors"));
    EXPECT_EQ(directory->last_version(), 1);
  }
  const auto directory = Open();
  ASSERT_TRUE(Put(*directory, "a", 2, {2, 3}).ok());
  ExpectContents(*directory, "a", {{2, 3}});
}

TEST_F(KeySetDirectoryTest, APutDoesNotTouchWhatIsNoKeySet) {
  const auto directory = Open();
  ASSERT_TRUE(files_->MakeDirectory("/sets/empty").ok());
  ASSERT_TRUE(files_->MakeDirectory("/sets/theirs").ok());
  Write("/sets/theirs/notes.txt", "mine");
  Write("/sets/file", "mine");
  EXPECT_TRUE(Put(*directory, "empty", 1, {1, 10}).ok());
  for (const char* const name : {"theirs", "file"}) {
    const absl::Status status = Put(*directory, name, 2, {1, 10});
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(status.message(), HasSubstr("is there already and is no key set"));
  }
  EXPECT_THAT(FilesIn("/sets/theirs"), ElementsAre("notes.txt"));
  EXPECT_THAT(*Open(Mode::kReader)->ListNames(), ElementsAre("empty"));
}

TEST_F(KeySetDirectoryTest, APutThatFailsDoesNotTouchWhatIsNoKeySet) {
  const auto directory = Open();
  ASSERT_TRUE(files_->MakeDirectory("/sets/theirs").ok());
  Write("/sets/theirs/notes.txt", "mine");
  for (int64_t operation = 0; operation < 20; ++operation) {
    for (const bool effect : {false, true}) {
      memory_.FailAt(memory_.operations() + operation, effect);
      EXPECT_FALSE(Put(*directory, "theirs", operation + 1, {1, 10}).ok());
      EXPECT_THAT(FilesIn("/sets/theirs"), ElementsAre("notes.txt"));
    }
  }
}

// A reader that has seen an append that failed must not take its rows for those of the next one,
// even where it missed what was merged between them.
TEST_F(KeySetDirectoryTest, AMergeDoesNotHideThatAnAppendFailed) {
  int64_t failed = 0;
  for (int64_t operation = 0; operation < 20; ++operation) {
    files_->Rename("/sets", absl::StrCat("/old-", operation)).IgnoreError();
    const auto directory = Open();
    const auto reader = Open(Mode::kReader);
    std::vector<Part> parts = {{1, 10}};
    int64_t version = 1;
    ASSERT_TRUE(Put(*directory, "a", version, parts[0]).ok());
    for (uint64_t i = 0; i < 20; ++i) {
      parts.push_back({i, 1});
      ASSERT_TRUE(Append(*directory, "a", ++version, parts.back()).ok());
    }
    memory_.FailAt(memory_.operations() + operation, /*effect=*/true);
    if (Append(*directory, "a", ++version, {100, 3}).ok()) break;
    ++failed;
    const auto seen = reader->Load("a", &budget_, nullptr);
    ASSERT_TRUE(seen.ok()) << seen.status();
    ASSERT_TRUE(*MergeSegments(*directory, "a"));
    parts.push_back({101, 5});
    ASSERT_TRUE(Append(*directory, "a", ++version, parts.back()).ok());
    const auto next = reader->Load("a", &budget_, *seen);
    ASSERT_TRUE(next.ok()) << next.status();
    EXPECT_TRUE(Contents(**next) == Expected(parts)) << operation;
  }
  EXPECT_GT(failed, 3);
}

TEST_F(KeySetDirectoryTest, LinksAreNotFollowed) {
  const TemporaryDirectory temporary;
  files_ = FileSystem::Posix();
  path_ = temporary.path() + "/sets";
  const std::string elsewhere = temporary.path() + "/elsewhere";
  ASSERT_TRUE(Put(*Open(), "a", 1, {1, 10}).ok());
  ASSERT_TRUE(files_->Rename(path_ + "/a", elsewhere).ok());
  ASSERT_EQ(symlink(elsewhere.c_str(), (path_ + "/a").c_str()), 0);
  ASSERT_EQ(symlink((elsewhere + "/segment-1-0-10.safetensors").c_str(),
                    (path_ + "/b.safetensors").c_str()),
            0);
  const auto directory = Open();
  EXPECT_THAT(directory->notes(), ElementsAre(HasSubstr("/a: is not served: a link"),
                                              HasSubstr("b.safetensors: is not served: a link")));
  EXPECT_THAT(*directory->ListNames(), IsEmpty());
  EXPECT_TRUE(absl::IsFailedPrecondition(Put(*directory, "a", 2, {2, 10})));
  EXPECT_THAT(FilesIn(elsewhere), ElementsAre("manifest.json", "segment-1-0-10.safetensors"));
  EXPECT_TRUE(files_->Exists(path_ + "/b.safetensors"));

  ASSERT_TRUE(Put(*directory, "c", 3, {3, 10}).ok());
  const std::string segment = path_ + "/c/segment-3-0-10.safetensors";
  ASSERT_TRUE(files_->Rename(segment, elsewhere + "/moved").ok());
  ASSERT_EQ(symlink((elsewhere + "/moved").c_str(), segment.c_str()), 0);
  EXPECT_TRUE(absl::IsDataLoss(LoadedContents(*directory, "c").status()));
}

TEST_F(KeySetDirectoryTest, OnlyOneWriter) {
  const TemporaryDirectory temporary;
  files_ = FileSystem::Posix();
  path_ = temporary.path();
  {
    const auto writer = Open();
    const absl::Status second = KeySetDirectory::Open(files_, path_, Mode::kWriter).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(second));
    EXPECT_THAT(second.message(), HasSubstr("another process"));
    ASSERT_TRUE(Put(*writer, "a", 1, {1, 10}).ok());
    ExpectContents(*Open(Mode::kReader), "a", {{1, 10}});
  }
  Open();
  EXPECT_TRUE(
      absl::IsNotFound(KeySetDirectory::Open(files_, path_ + "/missing", Mode::kReader).status()));
}

TEST_F(KeySetDirectoryTest, AReaderSeesWhatTheWriterDoes) {
  const auto writer = Open();
  const auto reader = Open(Mode::kReader);
  EXPECT_THAT(*reader->ListNames(), IsEmpty());
  ASSERT_TRUE(Put(*writer, "a", 1, {1, 10}).ok());
  EXPECT_THAT(*reader->ListNames(), ElementsAre("a"));
  ExpectContents(*reader, "a", {{1, 10}});
  ASSERT_TRUE(Append(*writer, "a", 2, {2, 10}).ok());
  EXPECT_EQ(*reader->StoredVersion("a"), 2);
  ExpectContents(*reader, "a", {{1, 10}, {2, 10}});
  ASSERT_TRUE(writer->Delete("a").ok());
  EXPECT_THAT(*reader->ListNames(), IsEmpty());
  EXPECT_TRUE(absl::IsNotFound(LoadedContents(*reader, "a").status()));
}

// Every version that the writer makes is known beforehand: version v has parts 1 to v since the
// last put, of which each tenth version is one.
TEST_F(KeySetDirectoryTest, AReaderFindsWholeVersionsWhileTheWriterReplacesThem) {
  constexpr int64_t kVersions = 300;
  const auto parts_of = [](int64_t version) {
    std::vector<Part> parts;
    for (int64_t v = version / 30 * 30; v <= version; ++v) {
      parts.push_back({static_cast<uint64_t>(v), 5 + v % 3});
    }
    return parts;
  };
  const auto writer = Open();
  ASSERT_TRUE(Put(*writer, "a", 30, parts_of(30).back()).ok());
  std::thread thread([&] {
    for (int64_t version = 31; version < kVersions; ++version) {
      const Part part = parts_of(version).back();
      const absl::Status status = version % 30 == 0 ? Put(*writer, "a", version, part)
                                                    : Append(*writer, "a", version, part);
      ASSERT_TRUE(status.ok()) << status;
      ASSERT_TRUE(MergeSegments(*writer, "a").ok());
    }
  });
  const auto reader = Open(Mode::kReader);
  std::shared_ptr<const KeySet> current;
  while (current == nullptr || current->version() < kVersions - 1) {
    const auto set = reader->Load("a", &budget_, current);
    if (absl::IsUnavailable(set.status())) continue;
    ASSERT_TRUE(set.ok()) << set.status();
    if (*set == current) continue;
    ASSERT_TRUE(Contents(**set) == Expected(parts_of((*set)->version())));
    current = *set;
  }
  thread.join();
}

TEST_F(KeySetDirectoryTest, DifferentSetsMayChangeAtTheSameTime) {
  const auto directory = Open();
  std::atomic<int64_t> version{0};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const std::string name = absl::StrCat("set-", t);
      for (int round = 0; round < 3; ++round) {
        ASSERT_TRUE(Put(*directory, name, ++version, {t, 20}).ok());
        for (int i = 0; i < 17; ++i) {
          ASSERT_TRUE(Append(*directory, name, ++version, {t + 10, 3}).ok());
        }
        ASSERT_TRUE(MergeSegments(*directory, name).value());
        ASSERT_TRUE(directory->ListNames().ok());
        ASSERT_TRUE(round == 2 || directory->Delete(name).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(directory->last_version(), version);
  for (uint64_t t = 0; t < 4; ++t) {
    std::vector<Part> parts = {{t, 20}};
    parts.resize(18, {t + 10, 3});
    ExpectContents(*directory, absl::StrCat("set-", t), parts);
  }
}

class LoneFileTest : public KeySetDirectoryTest {
 protected:
  // A file as another tool writes it.
  std::string LoneFile(const std::vector<std::string>& names, const Part& part) {
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

TEST_F(LoneFileTest, TheWriterTakesThemIn) {
  ASSERT_TRUE(Put(*Open(), "other", 8, {1, 10}).ok());
  Write("/sets/both.safetensors", LoneFile({"values", "keys"}, {2, 100}));
  Write("/sets/one.safetensors", LoneFile({"embeddings"}, {3, 50}));
  Write("/sets/more.safetensors", LoneFile({"ids", "keys", "notes"}, {3, 50}));
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

TEST_F(LoneFileTest, WhatCannotBeTakenInIsLeftAndNoted) {
  ASSERT_TRUE(Put(*Open(), "a", 1, {1, 10}).ok());
  const std::string good = LoneFile({"keys"}, {2, 10});
  Write("/sets/a.safetensors", good);
  Write("/sets/b.safetensors", "not one");
  Write("/sets/bad name.safetensors", good);
  Write("/sets/c.safetensors", LoneFile({"queries", "weights"}, {2, 10}));
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
