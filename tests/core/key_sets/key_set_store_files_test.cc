// A store and its directory: damage, failures, merges, and a reader that must not write.

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "qkserve/limits.h"
#include "tests/support/key_set_store_fixture.h"

namespace qkserve {
namespace {

using enum absl::StatusCode;

const KeySetLayout& kLayout = kStoreTestLayout;

class KeySetStoreFilesTest : public KeySetStoreFixture {};

TEST_F(KeySetStoreFilesTest, ADamagedSetAnswersDataLossWhileOthersServe) {
  for (const char* what : {"segment-", "manifest.json"}) {
    SCOPED_TRACE(what);
    auto store = Open();
    int64_t version = 0;
    for (const char* name : {"a", "damaged", "z"}) {
      version = Upload(*store, name, {1, 100}).value()->version();
    }
    store = nullptr;
    Damage("damaged", what);
    store = Open();
    EXPECT_EQ(store->Find("damaged").status().code(), kDataLoss);
    EXPECT_EQ(Upload(*store, "damaged", {2, 1}, version).status().code(), kDataLoss);
    for (const char* name : {"a", "z"}) EXPECT_EQ(ContentsOf(*store, name), Expected({{1, 100}}));
    {  // versions must be destroyed before the store
      const auto listed = store->List("", 10);
      ASSERT_EQ(listed.size(), 3U);
      EXPECT_EQ(listed[1].name, "damaged");
      EXPECT_EQ(listed[1].key_set.status().code(), kDataLoss);
      // A put repairs the set.
      const Found put = Upload(*store, "damaged", {3, 10});
      ASSERT_TRUE(put.ok()) << put.status();
      EXPECT_GT((*put)->version(), version);
    }
    store = nullptr;
    store = Open();
    EXPECT_EQ(ContentsOf(*store, "damaged"), Expected({{3, 10}}));
    ASSERT_TRUE(store->Delete("damaged").ok());
  }
}

TEST_F(KeySetStoreFilesTest, ADamagedSetCanBeDeleted) {
  for (const char* what : {"segment-", "manifest.json"}) {
    SCOPED_TRACE(what);
    auto store = Open();
    ASSERT_TRUE(Upload(*store, "a", {1, 10}).ok());
    store = nullptr;
    Damage("a", what);
    store = Open();
    EXPECT_TRUE(store->Delete("a").ok());
    EXPECT_EQ(store->Find("a").status().code(), kNotFound);
    store = nullptr;
    store = Open();
    EXPECT_EQ(store->Find("a").status().code(), kNotFound);
  }
}

TEST_F(KeySetStoreFilesTest, ASetThatDoesNotFitInMemoryIsLeftOnDisk) {
  auto store = Open();
  ASSERT_TRUE(Upload(*store, "large", {1, 10000}).ok());
  ASSERT_TRUE(Upload(*store, "small", {2, 10}).ok());
  store = nullptr;
  memory_bytes_max_ = 10'000;
  store = Open();
  EXPECT_EQ(store->Find("large").status().code(), kResourceExhausted);
  EXPECT_EQ(ContentsOf(*store, "small"), Expected({{2, 10}}));
  store = nullptr;
  memory_bytes_max_ = kGiB;
  store = Open();
  EXPECT_EQ(ContentsOf(*store, "large"), Expected({{1, 10000}}));
}

// The disk fails at each operation of a put and of an append. The failed operation may have taken
// effect or not.
TEST_F(KeySetStoreFilesTest, WhereTheDiskFailsTheOldVersionServesAndTheNextChangeSucceeds) {
  auto store = Open();
  std::vector<Part> parts = {{1, 10}};
  int64_t version = Upload(*store, "a", parts[0]).value()->version();
  int64_t failed = 0;
  int64_t left_files = 0;
  for (const bool append : {false, true}) {
    for (int64_t operation = 0;; ++operation) {
      const bool has_effect = operation % 2 == 0;
      files_.FailAt(files_.operations() + operation / 2, has_effect);
      const Part part = {static_cast<uint64_t>(operation) + 2, 3};
      const std::string before = ContentsOf(*store, "a");
      const int64_t held = store->budget().bytes();
      const size_t files_before = FilesOf("a");
      const Found found = Upload(*store, "a", part, append ? std::optional(version) : std::nullopt);
      if (found.ok()) {
        version = (*found)->version();
        if (!append) parts.clear();
        parts.push_back(part);
        EXPECT_EQ(ContentsOf(*store, "a"), Expected(parts));
        break;
      }
      ++failed;
      if (!has_effect && FilesOf("a") > files_before) ++left_files;
      EXPECT_EQ(ContentsOf(*store, "a"), before);
      EXPECT_EQ(store->Find("a").value()->version(), version);
      EXPECT_EQ(store->budget().bytes(), held);
    }
  }
  EXPECT_GT(failed, 20);
  // A failed change must remove its files, because the disk may be full. It keeps them in one case:
  // the new manifest is in place, and its folder cannot be synced. This happens once in the put and
  // once in the append.
  EXPECT_EQ(left_files, 2);
  store = nullptr;
  store = Open();
  EXPECT_EQ(ContentsOf(*store, "a"), Expected(parts));
}

// Open often asks whether it should stop. Each turn of the loop answers yes one question later.
TEST_F(KeySetStoreFilesTest, AnOpenThatIsToldToStopIsCancelledAndChangesNoSet) {
  auto store = Open();
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(Upload(*store, name, {1, 100}).ok());
  store = nullptr;
  for (const bool is_read_only : {false, true}) {
    int asked = 0;
    for (bool is_stopped = true; is_stopped; ++asked) {
      std::atomic<int> left{asked};
      const auto opened = KeySetStore::Open({.directory = "/sets",
                                             .is_read_only = is_read_only,
                                             .memory_bytes_max = kGiB,
                                             .load_threads = 2,
                                             .is_stopping = [&left] { return left-- <= 0; }},
                                            &files_);
      is_stopped = !opened.ok();
      EXPECT_TRUE(opened.ok() || opened.status().code() == kCancelled) << opened.status();
    }
    EXPECT_GT(asked, 9);
  }
  store = Open();
  EXPECT_EQ(store->count(), 3);
  for (const char* name : {"a", "b", "c"})
    EXPECT_EQ(ContentsOf(*store, name), Expected({{1, 100}}));
}

TEST_F(KeySetStoreFilesTest, TheTimeThatIsLoggedIsOfAllThatWasDone) {
  auto store = Open();
  ASSERT_TRUE(Upload(*store, "a", {1, 10}).ok());
  store = nullptr;
  store = Open();
  EXPECT_THAT(LastLine(),
              testing::ContainsRegex("1 key sets, [0-9]+ bytes in memory, loaded in "
                                     ".*: the directory opened in .*, the sets read in "));
}

TEST_F(KeySetStoreFilesTest, AnUploadWithoutACommitLeavesNoFile) {
  auto store = Open();
  const auto count = [this] { return files_.List("/sets").value().size(); };
  const size_t before = count();
  auto upload = store->BeginUpload(UploadSpec("a", kLayout, 10)).value();
  EXPECT_GT(count(), before);
  upload = nullptr;
  EXPECT_EQ(count(), before);
}

TEST_F(KeySetStoreFilesTest, ManySmallAppendsAreMergedInTheBackground) {
  auto store = Open();
  std::vector<Part> parts = {{1, 1}};
  int64_t version = Upload(*store, "a", parts[0]).value()->version();
  for (uint64_t i = 2; i < 200; ++i) {
    parts.push_back({i, 1});
    version = Upload(*store, "a", parts.back(), version).value()->version();
  }
  EXPECT_EQ(ContentsOf(*store, "a"), Expected(parts));
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  while (FilesOf("a") > 40 && absl::Now() < deadline) std::this_thread::yield();
  EXPECT_LE(FilesOf("a"), 40U) << LastLine();
  store = nullptr;
  store = Open();
  EXPECT_EQ(store->Find("a").value()->version(), version);
  EXPECT_EQ(ContentsOf(*store, "a"), Expected(parts));
}

TEST_F(KeySetStoreFilesTest, AReaderChangesNothing) {
  auto store = Open();
  const int64_t version = Upload(*store, "a", {1, 10}).value()->version();
  auto reader = Open(/*is_read_only=*/true);
  EXPECT_EQ(Upload(*reader, "a", {2, 1}).status().code(), kFailedPrecondition);
  EXPECT_EQ(Upload(*reader, "a", {2, 1}, version).status().code(), kFailedPrecondition);
  EXPECT_EQ(reader->Delete("a").code(), kFailedPrecondition);
  EXPECT_EQ(ContentsOf(*reader, "a"), Expected({{1, 10}}));
}

TEST_F(KeySetStoreFilesTest, CallersLearnNothingOfPathsAndNoMisleadingCodes) {
  auto store = Open();
  ASSERT_TRUE(Upload(*store, "a", {1, 10}).ok());
  ASSERT_TRUE(files_.Rename("/sets", "/elsewhere").ok());
  for (const absl::Status& status : {store->Delete("a"), Upload(*store, "a", {2, 10}).status(),
                                     Upload(*store, "b", {2, 10}).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
    EXPECT_THAT(std::string(status.message()), testing::StartsWith("key_set_dir: "));
    EXPECT_THAT(status.message(), testing::Not(testing::HasSubstr("/sets")));
  }
  ASSERT_TRUE(files_.Rename("/elsewhere", "/sets").ok());
  EXPECT_EQ(ContentsOf(*store, "a"), Expected({{1, 10}}));
  EXPECT_TRUE(store->Delete("a").ok());
}

}  // namespace
}  // namespace qkserve
