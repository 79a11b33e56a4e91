#include "core/key_sets/storage/key_set_directory.h"

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/key_sets/key_set_layout.h"
#include "core/key_sets/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/key_set_directory_fixture.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const KeySetLayout& kLayout = kDirectoryTestLayout;

class KeySetDirectoryTest : public KeySetDirectoryFixture {};

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
        ASSERT_TRUE(segment->Write(ColumnId::kValues, 40 * matrix + i, 1, values.data()).ok());
        ASSERT_TRUE(segment->Write(ColumnId::kKeys, 40 * matrix + i, 1, keys.data()).ok());
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

// If the disk is too full to write .last_version, the emptied folder of the deleted set stays, and
// its name holds the version.
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

}  // namespace
}  // namespace qkserve
