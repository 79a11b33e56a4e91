// What a store makes of its directory: damage, failures, and readers of what another one writes.

#include <atomic>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "core/key_sets/key_set_store.h"
#include "core/key_sets/key_set_upload.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "qkserve/limits.h"
#include "tests/support/forgetful_file_system.h"
#include "tests/support/key_set_rows.h"
#include "tests/support/key_set_uploads.h"

namespace qkserve {
namespace {

using enum absl::StatusCode;
using Found = absl::StatusOr<std::shared_ptr<const KeySet>>;

const KeySetLayout kLayout = {.leading = {}, .d = 3, .key_type = DataType::kFloat16};

class KeySetStoreFilesTest : public testing::Test {
 protected:
  std::unique_ptr<KeySetStore> Open(bool is_read_only = false) {
    return KeySetStore::Open({.directory = "/sets",
                              .is_read_only = is_read_only,
                              .memory_bytes_max = memory_bytes_max_,
                              .load_threads = 2,
                              .log = [this](const LogEvent& event) { Log(event.message); }},
                             &files_)
        .value();
  }
  void Log(const std::string& line) {
    MutexLock lock(&mutex_);
    log_.push_back(line);
  }
  std::string LastLine() {
    MutexLock lock(&mutex_);
    return log_.empty() ? "" : log_.back();
  }

  static Found Upload(KeySetStore& store, const std::string& name, const Part& part,
                      std::optional<int64_t> expected_version = std::nullopt) {
    return UploadPart(store, name, kLayout, part, expected_version);
  }

  std::string Expected(const std::vector<Part>& parts) {
    return Contents(*BuildKeySet(kLayout, parts, &unlimited_));
  }
  static std::string ContentsOf(const KeySetStore& store, const std::string& name) {
    const Found found = store.Find(name);
    return found.ok() ? Contents(**found) : found.status().ToString();
  }

  // The set's files of this beginning are junk from now on.
  void Damage(const std::string& name, absl::string_view beginning) {
    const std::string directory = absl::StrCat("/sets/", name);
    const std::vector<FileSystem::Entry> entries = files_.List(directory).value();
    for (const FileSystem::Entry& entry : entries) {
      if (!absl::StartsWith(entry.name, beginning)) continue;
      const auto file = files_.Create(absl::StrCat(directory, "/", entry.name)).value();
      ASSERT_TRUE(file->WriteAt(0, reinterpret_cast<const std::byte*>("junk"), 4).ok());
      ASSERT_TRUE(file->Close().ok());
    }
  }
  size_t FilesOf(const std::string& name) { return files_.List("/sets/" + name).value().size(); }

  ForgetfulFileSystem files_;
  int64_t memory_bytes_max_ = kGiB;
  ByteBudget unlimited_{"test", std::numeric_limits<int64_t>::max()};
  Mutex mutex_;
  std::vector<std::string> log_ ABSL_GUARDED_BY(mutex_);
};

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
    {  // versions must not outlive the store
      const auto listed = store->List("", 10);
      ASSERT_EQ(listed.size(), 3U);
      EXPECT_EQ(listed[1].name, "damaged");
      EXPECT_EQ(listed[1].key_set.status().code(), kDataLoss);
      // A put makes it whole.
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

// At each operation of a put and of an append.
TEST_F(KeySetStoreFilesTest, WhereTheDiskFailsTheOldVersionServesAndTheNextChangeSucceeds) {
  auto store = Open();
  std::vector<Part> parts = {{1, 10}};
  int64_t version = Upload(*store, "a", parts[0]).value()->version();
  int64_t failed = 0;
  for (const bool append : {false, true}) {
    for (int64_t operation = 0;; ++operation) {
      files_.FailAt(files_.operations() + operation, /*effect=*/operation % 2 == 0);
      const Part part = {static_cast<uint64_t>(operation) + 2, 3};
      const std::string before = ContentsOf(*store, "a");
      const int64_t held = store->budget().bytes();
      const Found found = Upload(*store, "a", part, append ? std::optional(version) : std::nullopt);
      if (found.ok()) {
        version = (*found)->version();
        if (!append) parts.clear();
        parts.push_back(part);
        EXPECT_EQ(ContentsOf(*store, "a"), Expected(parts));
        break;
      }
      ++failed;
      EXPECT_EQ(ContentsOf(*store, "a"), before);
      EXPECT_EQ(store->Find("a").value()->version(), version);
      EXPECT_EQ(store->budget().bytes(), held);
    }
  }
  EXPECT_GT(failed, 10);
  store = nullptr;
  store = Open();
  EXPECT_EQ(ContentsOf(*store, "a"), Expected(parts));
}

// At each place where it asks.
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

// --- Readers ------------------------------------------------------------------------------------

TEST_F(KeySetStoreFilesTest, AReaderChangesNothing) {
  auto store = Open();
  const int64_t version = Upload(*store, "a", {1, 10}).value()->version();
  auto reader = Open(/*is_read_only=*/true);
  EXPECT_EQ(Upload(*reader, "a", {2, 1}).status().code(), kFailedPrecondition);
  EXPECT_EQ(Upload(*reader, "a", {2, 1}, version).status().code(), kFailedPrecondition);
  EXPECT_EQ(reader->Delete("a").code(), kFailedPrecondition);
  EXPECT_EQ(ContentsOf(*reader, "a"), Expected({{1, 10}}));
}

TEST_F(KeySetStoreFilesTest, RefreshTakesInWhatWasPutAppendedAndDeleted) {
  auto store = Open();
  const int64_t version = Upload(*store, "a", {1, 100}).value()->version();
  ASSERT_TRUE(Upload(*store, "gone", {2, 1}).ok());
  auto reader = Open(/*is_read_only=*/true);
  const std::shared_ptr<const KeySet> before = reader->Find("a").value();
  ASSERT_TRUE(Upload(*store, "a", {3, 60}, version).ok());
  ASSERT_TRUE(Upload(*store, "new", {4, 5}).ok());
  ASSERT_TRUE(store->Delete("gone").ok());
  EXPECT_EQ(ContentsOf(*reader, "a"), Expected({{1, 100}}));

  reader->Refresh();
  EXPECT_EQ(ContentsOf(*reader, "a"), Expected({{1, 100}, {3, 60}}));
  EXPECT_EQ(Contents(*before), Expected({{1, 100}}));
  EXPECT_EQ(ContentsOf(*reader, "new"), Expected({{4, 5}}));
  EXPECT_EQ(reader->Find("gone").status().code(), kNotFound);
  EXPECT_EQ(reader->count(), 2);
  ASSERT_TRUE(Upload(*store, "a", {5, 2}).ok());
  reader->Refresh();
  EXPECT_EQ(ContentsOf(*reader, "a"), Expected({{5, 2}}));
}

TEST_F(KeySetStoreFilesTest, AReaderThatFollowsAWriterSeesOneVersionWhole) {
  auto store = Open();
  std::vector<Part> parts;
  std::map<int64_t, std::string> by_keys;
  int64_t keys = 0;
  for (uint64_t i = 0; i < 60; ++i) {
    parts.push_back({i, 1 + static_cast<int64_t>(i) * 7 % 30});
    keys += parts.back().rows;
    by_keys[keys] = Expected(parts);
  }
  int64_t version = Upload(*store, "a", parts[0]).value()->version();
  auto reader = Open(/*is_read_only=*/true);
  std::atomic<bool> done{false};
  // Refresh may be called by anybody.
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (!done) reader->Refresh();
    });
  }
  threads.emplace_back([&] {
    while (!done) {
      const Found found = reader->Find("a");
      ASSERT_TRUE(found.ok()) << found.status();
      const auto expected = by_keys.find((*found)->m());
      ASSERT_NE(expected, by_keys.end()) << (*found)->m();
      ASSERT_EQ(Contents(**found), expected->second);
    }
  });
  for (size_t i = 1; i < parts.size(); ++i) {
    // The set is replaced at times, by its beginning or by all of it.
    if (i % 20 == 0) {
      const int64_t base = Upload(*store, "a", parts[0]).value()->version();
      version = base;
      for (size_t j = 1; j < i; ++j) {
        version = Upload(*store, "a", parts[j], version).value()->version();
      }
    }
    version = Upload(*store, "a", parts[i], version).value()->version();
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  reader->Refresh();
  EXPECT_EQ(reader->Find("a").value()->version(), version);
  EXPECT_EQ(ContentsOf(*reader, "a"), Expected(parts));
}

TEST_F(KeySetStoreFilesTest, AReaderKeepsToDataLossUntilTheSetIsPutAnew) {
  auto store = Open();
  ASSERT_TRUE(Upload(*store, "a", {1, 10}).ok());
  Damage("a", "segment-");
  auto reader = Open(/*is_read_only=*/true);
  EXPECT_EQ(reader->Find("a").status().code(), kDataLoss);
  reader->Refresh();
  EXPECT_EQ(reader->Find("a").status().code(), kDataLoss);
  ASSERT_TRUE(Upload(*store, "a", {2, 10}).ok());
  reader->Refresh();
  EXPECT_EQ(ContentsOf(*reader, "a"), Expected({{2, 10}}));
}

// What is in memory is whole, whatever became of the files.
TEST_F(KeySetStoreFilesTest, AReaderThatCannotFollowServesWhatItHasAndSaysSo) {
  auto store = Open();
  const int64_t version = Upload(*store, "a", {1, 10}).value()->version();
  memory_bytes_max_ = 50'000;
  auto reader = Open(/*is_read_only=*/true);
  EXPECT_EQ(reader->Get("a")->problem, "");

  ASSERT_TRUE(Upload(*store, "a", {2, 10000}).ok());
  reader->Refresh();
  EXPECT_EQ(reader->Find("a").value()->version(), version);
  EXPECT_THAT(reader->Get("a")->problem, testing::HasSubstr("RESOURCE_EXHAUSTED"));

  ASSERT_TRUE(Upload(*store, "a", {3, 20}).ok());
  reader->Refresh();
  EXPECT_EQ(ContentsOf(*reader, "a"), Expected({{3, 20}}));
  EXPECT_EQ(reader->Get("a")->problem, "");

  ASSERT_TRUE(files_.Rename("/sets/a/manifest.json", "/saved").ok());
  reader->Refresh();
  EXPECT_EQ(ContentsOf(*reader, "a"), Expected({{3, 20}}));
  EXPECT_THAT(reader->List("", 10)[0].problem, testing::HasSubstr("DATA_LOSS: a/manifest.json"));
  ASSERT_TRUE(files_.Rename("/saved", "/sets/a/manifest.json").ok());
  reader->Refresh();
  EXPECT_EQ(reader->Get("a")->problem, "");
}

TEST_F(KeySetStoreFilesTest, AReaderKeepsItsSetsWhileTheDirectoryIsAway) {
  auto store = Open();
  for (const char* name : {"a", "b"}) ASSERT_TRUE(Upload(*store, name, {1, 10}).ok());
  auto reader = Open(/*is_read_only=*/true);
  const auto expect_served = [&](const std::string& problem) {
    EXPECT_EQ(reader->count(), 2);
    EXPECT_EQ(reader->problem_count(), problem.empty() ? 0 : 2);
    for (const KeySetStore::Listed& listed : reader->List("", 10)) {
      EXPECT_EQ(ContentsOf(*reader, listed.name), Expected({{1, 10}}));
      EXPECT_THAT(listed.problem, testing::HasSubstr(problem));
      EXPECT_THAT(listed.problem, testing::Not(testing::HasSubstr("/sets")));
    }
  };
  ASSERT_TRUE(files_.Rename("/sets", "/away").ok());
  reader->Refresh();
  expect_served("is not followed: INTERNAL: key_set_dir: .");
  EXPECT_THAT(LastLine(), testing::HasSubstr("goes on being served"));
  Log("nothing more");
  reader->Refresh();
  EXPECT_EQ(LastLine(), "nothing more");

  // An empty directory, and one that a writer has made anew, tell of no delete.
  ASSERT_TRUE(files_.MakeDirectory("/sets").ok());
  reader->Refresh();
  expect_served("is not followed: UNAVAILABLE: .: has none of the 2 key sets");
  ASSERT_TRUE(files_.Create("/sets/.lock").value()->Close().ok());
  reader->Refresh();
  expect_served("is not followed");
  ASSERT_TRUE(files_.Remove("/sets/.lock").ok());
  ASSERT_TRUE(files_.RemoveDirectory("/sets").ok());
  ASSERT_TRUE(files_.Rename("/away", "/sets").ok());
  reader->Refresh();
  expect_served("");
  EXPECT_EQ(LastLine(), "key_set_dir: is followed again");
}

TEST_F(KeySetStoreFilesTest, TheLastSetsThatAreDeletedDisappearFromReaders) {
  auto store = Open();
  for (const char* name : {"a", "b"}) ASSERT_TRUE(Upload(*store, name, {1, 10}).ok());
  auto reader = Open(/*is_read_only=*/true);
  for (const char* name : {"a", "b"}) ASSERT_TRUE(store->Delete(name).ok());
  reader->Refresh();
  EXPECT_EQ(reader->count(), 0);
  // The delete of before tells nothing of this set.
  ASSERT_TRUE(Upload(*store, "c", {2, 10}).ok());
  reader->Refresh();
  ASSERT_TRUE(files_.Rename("/sets/c", "/c").ok());
  reader->Refresh();
  EXPECT_EQ(ContentsOf(*reader, "c"), Expected({{2, 10}}));
  EXPECT_EQ(reader->problem_count(), 1);
  ASSERT_TRUE(files_.Rename("/c", "/sets/c").ok());
  ASSERT_TRUE(store->Delete("c").ok());
  reader->Refresh();
  EXPECT_EQ(reader->count(), 0);
  EXPECT_EQ(reader->problem_count(), 0);
}

TEST_F(KeySetStoreFilesTest, AReaderKeepsASetWhoseFolderIsEmptiedOrAFile) {
  auto store = Open();
  for (const char* name : {"a", "b"}) ASSERT_TRUE(Upload(*store, name, {1, 10}).ok());
  auto reader = Open(/*is_read_only=*/true);
  ASSERT_TRUE(files_.Rename("/sets/a", "/a").ok());
  ASSERT_TRUE(files_.MakeDirectory("/sets/a").ok());
  const auto expect_kept = [&] {
    reader->Refresh();
    EXPECT_EQ(reader->count(), 2);
    EXPECT_EQ(ContentsOf(*reader, "a"), Expected({{1, 10}}));
    EXPECT_THAT(reader->Get("a").value().problem, testing::HasSubstr("is behind what is stored"));
    EXPECT_EQ(reader->Get("b").value().problem, "");
  };
  expect_kept();
  ASSERT_TRUE(files_.RemoveDirectory("/sets/a").ok());
  ASSERT_TRUE(files_.Create("/sets/a").value()->Close().ok());
  expect_kept();
  ASSERT_TRUE(files_.Remove("/sets/a").ok());
  ASSERT_TRUE(files_.Rename("/a", "/sets/a").ok());
  reader->Refresh();
  EXPECT_EQ(reader->problem_count(), 0);
}

TEST_F(KeySetStoreFilesTest, AReaderReadsDamageAgainButSeldom) {
  auto store = Open();
  ASSERT_TRUE(Upload(*store, "a", {1, 10}).ok());
  const std::string segment = "/sets/a/segment-1-0-10.safetensors";
  ASSERT_TRUE(files_.Rename(segment, "/saved").ok());
  auto reader = Open(/*is_read_only=*/true);
  reader->Refresh();
  EXPECT_EQ(reader->Find("a").status().code(), kDataLoss);
  ASSERT_TRUE(files_.Rename("/saved", segment).ok());
  int looks = 0;
  while (!reader->Find("a").ok() && looks < 100) {
    reader->Refresh();
    ++looks;
  }
  EXPECT_EQ(ContentsOf(*reader, "a"), Expected({{1, 10}}));
  EXPECT_LT(looks, 5);
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
