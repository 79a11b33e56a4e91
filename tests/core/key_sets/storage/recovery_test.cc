#include "core/key_sets/storage/recovery.h"

#include <unistd.h>

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/key_set_directory_fixture.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class RecoveryTest : public KeySetDirectoryFixture {};

TEST_F(RecoveryTest, VersionsAreNeverUsedAgain) {
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
  // The versions keep growing even if .last_version or the manifest of the newest set is damaged.
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

TEST_F(RecoveryTest, ADamagedSetIsListedKeptAndMayBePutAnewOrDeleted) {
  for (const bool put : {true, false}) {
    {
      const auto directory = Open();
      const int64_t version = directory->last_version() + 1;
      ASSERT_TRUE(Put(*directory, "a", version, {1, 10}).ok());
    }
    Write("/sets/a/manifest.json", "{\"format\":2}");
    const auto directory = Open();
    ASSERT_EQ(directory->notes().size(), 1U);
    EXPECT_THAT(directory->notes()[0], HasSubstr("/sets/a/manifest.json: is of format 2, this"));
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

TEST_F(RecoveryTest, AManifestCannotBeThatOfAnotherSet) {
  ASSERT_TRUE(Put(*Open(), "a", 1, {1, 10}).ok());
  ASSERT_TRUE(files_->Rename("/sets/a", "/sets/b").ok());
  const absl::Status status = LoadedContents(*Open(), "b").status();
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_THAT(status.message(), HasSubstr("is that of the key set a"));
}

TEST_F(RecoveryTest, TheWriterClearsWhatInterruptedWritesLeft) {
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

TEST_F(RecoveryTest, OnlySetsThatMayNotBeDurableAreSyncedWhenTheWriterOpens) {
  {
    const auto directory = Open();
    for (int64_t i = 1; i <= 20; ++i) {
      ASSERT_TRUE(Put(*directory, absl::StrCat("set", i), i, {1, 10}).ok());
    }
  }
  auto before = memory_.operations();
  auto directory = Open();
  EXPECT_LT(memory_.operations() - before, 5);
  // One set changes. Then the process is killed.
  ASSERT_TRUE(Put(*directory, "set3", 21, {2, 5}).ok());
  memory_.StopAt(memory_.operations());
  directory = nullptr;
  memory_.Restart();
  before = memory_.operations();
  directory = Open();
  EXPECT_LT(memory_.operations() - before, 12);
  ExpectContents(*directory, "set3", {{2, 5}});
  // If .synced is missing, all sets are synced.
  directory = nullptr;
  ASSERT_TRUE(files_->Remove("/sets/.synced").ok());
  before = memory_.operations();
  directory = Open();
  EXPECT_GT(memory_.operations() - before, 20);
}

TEST_F(RecoveryTest, HalfACopyOfASetAnswersDataLossAndIsKept) {
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

TEST_F(RecoveryTest, LinksAreNotFollowed) {
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

}  // namespace
}  // namespace qkserve
