// A store with real files: who may read them, and where a path leads.

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>

#include "core/key_sets/key_set_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "qkserve/limits.h"
#include "tests/support/key_set_rows.h"
#include "tests/support/key_set_uploads.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

using enum absl::StatusCode;
using Found = absl::StatusOr<std::shared_ptr<const KeySet>>;

const KeySetLayout kLayout = {.leading = {}, .d = 3, .key_type = DataType::kFloat16};

class KeySetStorePosixTest : public testing::Test {
 protected:
  std::unique_ptr<KeySetStore> Open(bool is_read_only = false) {
    return KeySetStore::Open(
               {.directory = path_, .is_read_only = is_read_only, .memory_bytes_max = kGiB},
               FileSystem::Posix())
        .value();
  }

  const TemporaryDirectory temporary_;
  const std::string path_ = temporary_.path() + "/sets";
  FileSystem* const files_ = FileSystem::Posix();
};

TEST_F(KeySetStorePosixTest, AWriterChangesNoOtherDirectory) {
  auto store = Open();
  const int64_t version = UploadPart(*store, "a", kLayout, {1, 10}).value()->version();
  const std::string away = temporary_.path() + "/away";
  ASSERT_TRUE(files_->Rename(path_, away).ok());
  for (const bool is_empty : {false, true}) {
    if (is_empty) {
      ASSERT_TRUE(files_->MakeDirectory(path_).ok());
    }
    const absl::Status put = UploadPart(*store, "b", kLayout, {2, 10}).status();
    EXPECT_EQ(put.code(), kInternal);
    EXPECT_THAT(put.message(), testing::HasSubstr("key_set_dir: ."));
    EXPECT_EQ(UploadPart(*store, "a", kLayout, {2, 10}, version).status().code(), kInternal);
    EXPECT_EQ(store->Delete("a").code(), kInternal);
    EXPECT_EQ(store->Find("a").value()->version(), version);
    EXPECT_EQ(store->Find("b").status().code(), kNotFound);
  }
  EXPECT_EQ(files_->List(path_).value().size(), 0U);
  ASSERT_TRUE(files_->RemoveDirectory(path_).ok());
  ASSERT_TRUE(files_->Rename(away, path_).ok());
  EXPECT_TRUE(UploadPart(*store, "b", kLayout, {2, 10}).ok());
  EXPECT_TRUE(store->Delete("a").ok());
}

TEST_F(KeySetStorePosixTest, DirectoriesInThePlaceOfFilesTouchOnlyTheirSet) {
  auto store = Open();
  int64_t version = 0;
  for (const char* name : {"a", "b", "c"}) {
    version = UploadPart(*store, name, kLayout, {1, 10}).value()->version();
  }
  ASSERT_TRUE(store->Delete("c").ok());
  store = nullptr;
  const auto make_directory = [&](const std::string& name) {
    const std::string path = path_ + "/" + name;
    files_->Remove(path).IgnoreError();
    ASSERT_TRUE(files_->MakeDirectory(path).ok());
    ASSERT_TRUE(files_->MakeDirectory(path + "/inside").ok());
  };
  for (const char* name : {".lock", ".last_version", ".last_version.tmp", ".synced", ".synced.tmp",
                           "a/manifest.json", "b/manifest.json.tmp"}) {
    make_directory(name);
  }
  store = Open();
  EXPECT_EQ(store->Find("a").status().code(), kDataLoss);
  ASSERT_TRUE(store->Find("b").ok());
  const int64_t b = store->Find("b").value()->version();
  EXPECT_TRUE(UploadPart(*store, "b", kLayout, {2, 10}, b).ok());
  {
    const Found put = UploadPart(*store, "a", kLayout, {3, 10});
    ASSERT_TRUE(put.ok()) << put.status();
    EXPECT_GT((*put)->version(), version);
  }
  EXPECT_TRUE(store->Delete("b").ok());
  store = nullptr;
  store = Open();
  EXPECT_EQ(store->count(), 1);
  EXPECT_EQ(store->Find("a").value()->m(), 10);
}

TEST_F(KeySetStorePosixTest, AReaderKeepsASetThatMayNotBeRead) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  auto store = Open();
  for (const char* name : {"a", "b"}) {
    ASSERT_TRUE(UploadPart(*store, name, kLayout, {1, 10}).ok());
  }
  auto reader = Open(/*is_read_only=*/true);
  const std::string folder = path_ + "/a";
  for (const mode_t mode : {0000, 0400, 0100}) {
    ASSERT_EQ(chmod(folder.c_str(), mode), 0);
    reader->Refresh();
    EXPECT_EQ(reader->count(), 2);
    EXPECT_TRUE(reader->Find("a").ok());
    EXPECT_EQ(reader->problem_count(), mode == 0100 ? 0 : 1);
    // A store that starts in this state serves the other sets.
    EXPECT_TRUE(Open(/*is_read_only=*/true)->Find("b").ok());
  }
  ASSERT_EQ(chmod(folder.c_str(), 0700), 0);
  reader->Refresh();
  EXPECT_EQ(reader->problem_count(), 0);
}

}  // namespace
}  // namespace qkserve
