#include "core/key_sets/directory_follower.h"

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/key_set_store_fixture.h"

namespace qkserve {
namespace {

using enum absl::StatusCode;

class DirectoryFollowerTest : public KeySetStoreFixture {};

TEST_F(DirectoryFollowerTest, RefreshServesWhatWasPutAppendedAndDeleted) {
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

TEST_F(DirectoryFollowerTest, LoadsWithoutAThreadToSpare) {
  auto store = Open();
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(Upload(*store, name, {1, 10}).ok());
  // Makes new threads ask for stacks of a petabyte, so that the system can start none.
  pthread_attr_t before;
  ASSERT_EQ(pthread_getattr_default_np(&before), 0);
  pthread_attr_t huge = before;
  ASSERT_EQ(pthread_attr_setstacksize(&huge, size_t{1} << 50), 0);
  ASSERT_EQ(pthread_setattr_default_np(&huge), 0);
  EXPECT_THROW(std::thread([] {}).join(), std::system_error);
  auto reader = Open(/*is_read_only=*/true);
  ASSERT_EQ(pthread_setattr_default_np(&before), 0);
  for (const char* name : {"a", "b", "c"})
    EXPECT_EQ(ContentsOf(*reader, name), Expected({{1, 10}}));
}

TEST_F(DirectoryFollowerTest, AReaderThatFollowsAWriterSeesOneVersionWhole) {
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
  // Any thread may call Refresh.
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
    // Before every 20th append, a put replaces the set by its first part, and appends add the
    // earlier parts again.
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

TEST_F(DirectoryFollowerTest, AReaderKeepsToDataLossUntilTheSetIsPutAnew) {
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

// A version in memory is whole, whatever happens to the files.
TEST_F(DirectoryFollowerTest, AReaderThatCannotFollowServesWhatItHasAndSaysSo) {
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

TEST_F(DirectoryFollowerTest, AReaderKeepsItsSetsWhileTheDirectoryIsAway) {
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

  // A directory that is empty, or that a writer has made anew, does not mean that sets were
  // deleted.
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

TEST_F(DirectoryFollowerTest, TheLastSetsThatAreDeletedDisappearFromReaders) {
  auto store = Open();
  for (const char* name : {"a", "b"}) ASSERT_TRUE(Upload(*store, name, {1, 10}).ok());
  auto reader = Open(/*is_read_only=*/true);
  for (const char* name : {"a", "b"}) ASSERT_TRUE(store->Delete(name).ok());
  reader->Refresh();
  EXPECT_EQ(reader->count(), 0);
  // The earlier delete has no effect on this set.
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

TEST_F(DirectoryFollowerTest, AReaderKeepsASetWhoseFolderIsEmptiedOrAFile) {
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

TEST_F(DirectoryFollowerTest, AReaderReadsDamageAgainButSeldom) {
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

}  // namespace
}  // namespace qkserve
