#include "core/key_sets/key_set_store.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/limit_error.h"
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

const KeySetLayout kLayout = {.leading = {2},
                              .d = 3,
                              .key_type = DataType::kFloat16,
                              .dv = 2,
                              .value_type = DataType::kFloat32};

void RunThreads(int count, const std::function<void(int thread)>& work) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
}

// Runs every test with key sets in memory, and with key sets in files.
class KeySetStoreTest : public testing::TestWithParam<bool> {
 protected:
  KeySetStoreTest() { Open(); }

  bool HasFiles() const { return GetParam(); }

  void Open() {
    store_ = nullptr;
    store_ = Make(/*is_read_only=*/false);
  }
  std::unique_ptr<KeySetStore> Make(bool is_read_only) {
    return KeySetStore::Open({.directory = HasFiles() ? "/sets" : "",
                              .is_read_only = is_read_only,
                              .memory_bytes_max = memory_bytes_max_,
                              .load_threads = 3},
                             &files_)
        .value();
  }

  std::string Expected(const std::vector<Part>& parts, const KeySetLayout& layout = kLayout) {
    return Contents(*BuildKeySet(layout, parts, &unlimited_));
  }
  std::string ContentsOf(const std::string& name) const {
    const Found found = store_->Find(name);
    return found.ok() ? Contents(**found) : found.status().ToString();
  }

  // Makes parts 0 to `count` - 1 of a set that only grows. Records what the set holds at each
  // number of keys.
  void Grow(int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      parts_.push_back({static_cast<uint64_t>(i), 1 + i * 7 % 40});
      int64_t keys = 0;
      for (const Part& part : parts_) keys += part.rows;
      by_keys_[keys] = Expected(parts_);
    }
  }
  bool IsOneOfGrown(const KeySet& set) const {
    const auto found = by_keys_.find(set.m());
    return found != by_keys_.end() && found->second == Contents(set);
  }

  ForgetfulFileSystem files_;
  int64_t memory_bytes_max_ = kGiB;
  ByteBudget unlimited_{"test", std::numeric_limits<int64_t>::max()};
  std::unique_ptr<KeySetStore> store_;
  std::vector<Part> parts_;
  std::map<int64_t, std::string> by_keys_;
};

INSTANTIATE_TEST_SUITE_P(, KeySetStoreTest, testing::Bool(), [](const auto& info) {
  return std::string(info.param ? "InFiles" : "InMemory");
});

TEST_P(KeySetStoreTest, SetsOfAllKindsAreUploadedAtTheSameTime) {
  const std::vector<KeySetLayout> layouts = LayoutsOfAllKinds();
  RunThreads(4, [&](int thread) {
    for (size_t i = 0; i < layouts.size(); ++i) {
      const std::string name = absl::StrCat("set-", i, "-", thread);
      const Part first = {i, 130};
      const Part second = {i + 100, 5 + thread};
      const Found put = UploadPart(*store_, name, layouts[i], first);
      ASSERT_TRUE(put.ok()) << put.status();
      ASSERT_TRUE(UploadPart(*store_, name, layouts[i], second, (*put)->version()).ok());
    }
  });
  EXPECT_EQ(store_->count(), static_cast<int64_t>(4 * layouts.size()));
  if (HasFiles()) Open();
  std::vector<int64_t> versions;
  for (size_t i = 0; i < layouts.size(); ++i) {
    for (int thread = 0; thread < 4; ++thread) {
      const std::string name = absl::StrCat("set-", i, "-", thread);
      EXPECT_EQ(ContentsOf(name), Expected({{i, 130}, {i + 100, 5 + thread}}, layouts[i]));
      versions.push_back(store_->Find(name).value()->version());
    }
  }
  std::sort(versions.begin(), versions.end());
  EXPECT_EQ(std::adjacent_find(versions.begin(), versions.end()), versions.end());
}

TEST_P(KeySetStoreTest, OfAppendsToOneVersionExactlyOneWins) {
  ASSERT_TRUE(UploadPart(*store_, "a", kLayout, {1, 1}).ok());
  const int64_t first = store_->Find("a").value()->version();
  Mutex mutex;
  std::map<int64_t, std::pair<int64_t, Part>> wins;  // expected version: new version, part
  std::atomic<int64_t> losses{0};
  RunThreads(4, [&](int thread) {
    for (int64_t i = 0; i < 40; ++i) {
      const int64_t expected = store_->Find("a").value()->version();
      const Part part = {static_cast<uint64_t>(100 * thread + i + 2), i % 9};
      const Found appended = UploadPart(*store_, "a", kLayout, part, expected);
      if (!appended.ok()) {
        EXPECT_EQ(appended.status().code(), kFailedPrecondition) << appended.status();
        ++losses;
        continue;
      }
      EXPECT_GT((*appended)->version(), expected);
      MutexLock lock(&mutex);
      EXPECT_TRUE(wins.emplace(expected, std::pair((*appended)->version(), part)).second);
    }
  });
  EXPECT_EQ(static_cast<int64_t>(wins.size()) + losses, 160);
  // The appends that succeeded form a chain of versions, and the set holds the rows of the chain.
  std::vector<Part> parts = {{1, 1}};
  int64_t version = first;
  for (auto win = wins.find(version); win != wins.end(); win = wins.find(version)) {
    version = win->second.first;
    parts.push_back(win->second.second);
  }
  EXPECT_EQ(parts.size(), wins.size() + 1);
  EXPECT_EQ(ContentsOf("a"), Expected(parts));
  if (HasFiles()) {
    Open();
    EXPECT_EQ(store_->Find("a").value()->version(), version);
    EXPECT_EQ(ContentsOf("a"), Expected(parts));
  }
}

TEST_P(KeySetStoreTest, WhoeverFindsASetWhileItGrowsFindsOneVersionWhole) {
  Grow(40);
  int64_t version = UploadPart(*store_, "a", kLayout, parts_[0]).value()->version();
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (size_t i = 1; i < parts_.size(); ++i) {
      version = UploadPart(*store_, "a", kLayout, parts_[i], version).value()->version();
    }
    done = true;
  });
  RunThreads(3, [&](int) {
    const std::shared_ptr<const KeySet> kept = store_->Find("a").value();
    const std::string before = Contents(*kept);
    int64_t last = 0;
    while (!done) {
      const std::shared_ptr<const KeySet> found = store_->Find("a").value();
      ASSERT_TRUE(IsOneOfGrown(*found)) << found->m();
      ASSERT_GE(found->version(), last);
      last = found->version();
      ASSERT_EQ(Contents(*kept), before);
      ASSERT_EQ(store_->List("", 10).size(), 1U);
    }
  });
  writer.join();
  EXPECT_EQ(ContentsOf("a"), Expected(parts_));
}

TEST_P(KeySetStoreTest, PutsAppendsAndDeletesOfOneSetFollowOneAnother) {
  RunThreads(4, [&](int thread) {
    for (uint64_t i = 0; i < 40; ++i) {
      const uint64_t turn = (i + static_cast<uint64_t>(thread)) % 4;
      absl::Status status;
      if (turn == 0) {
        status = UploadPart(*store_, "a", kLayout, {i, 70}).status();
        EXPECT_TRUE(status.ok()) << status;
      } else if (turn == 1) {
        status = store_->Delete("a");
        EXPECT_TRUE(status.ok() || absl::IsNotFound(status)) << status;
      } else {
        const Found found = store_->Find("a");
        if (!found.ok()) continue;
        status = UploadPart(*store_, "a", kLayout, {i + 100, 3}, (*found)->version()).status();
        EXPECT_TRUE(status.ok() || absl::IsNotFound(status) || absl::IsFailedPrecondition(status))
            << status;
        EXPECT_EQ(((*found)->m() - 70) % 3, 0);
      }
    }
  });
  const std::string before = ContentsOf("a");
  if (HasFiles()) {
    Open();
    EXPECT_EQ(ContentsOf("a"), before);
  }
}

TEST_P(KeySetStoreTest, ADeletedSetStaysWithWhoeverHasIt) {
  const std::shared_ptr<const KeySet> kept = UploadPart(*store_, "a", kLayout, {1, 100}).value();
  ASSERT_TRUE(store_->Delete("a").ok());
  EXPECT_EQ(store_->Find("a").status().code(), kNotFound);
  EXPECT_EQ(store_->Delete("a").code(), kNotFound);
  EXPECT_EQ(UploadPart(*store_, "a", kLayout, {2, 1}, kept->version()).status().code(), kNotFound);
  EXPECT_EQ(Contents(*kept), Expected({{1, 100}}));
  const std::shared_ptr<const KeySet> again = UploadPart(*store_, "a", kLayout, {1, 100}).value();
  EXPECT_GT(again->version(), kept->version());
}

TEST_P(KeySetStoreTest, MemoryIsChargedAndReturned) {
  const ByteBudget& budget = store_->budget();
  EXPECT_EQ(budget.bytes(), 0);
  {
    auto put = store_->BeginUpload(UploadSpec("a", kLayout, 1000)).value();
    EXPECT_GE(budget.bytes(), 1000 * 2 * (3 * 2 + 2 * 4));
    EXPECT_TRUE(put->Add(ColumnId::kKeys, std::string(100, 'x')).ok());
    EXPECT_EQ(put->Commit().status().code(), kInvalidArgument);
    EXPECT_EQ(put->Add(ColumnId::kKeys, std::string(100000, 'x')).code(), kInvalidArgument);
  }
  EXPECT_EQ(budget.bytes(), 0);
  std::shared_ptr<const KeySet> set = UploadPart(*store_, "a", kLayout, {1, 1000}).value();
  const int64_t version = set->version();
  EXPECT_EQ(budget.bytes(), set->memory_bytes());
  const int64_t before = budget.bytes();
  {
    KeySetUploadSpec spec = UploadSpec("a", kLayout, 1000);
    spec.expected_version = version;
    auto append = store_->BeginUpload(spec).value();
    EXPECT_GT(budget.bytes(), before);
  }
  EXPECT_EQ(UploadPart(*store_, "a", kLayout, {2, 10}, version + 1).status().code(),
            kFailedPrecondition);
  EXPECT_EQ(budget.bytes(), before);
  set = UploadPart(*store_, "a", kLayout, {2, 10}, version).value();
  EXPECT_EQ(budget.bytes(), set->memory_bytes());
  ASSERT_TRUE(store_->Delete("a").ok());
  EXPECT_EQ(budget.bytes(), set->memory_bytes());
  set = nullptr;
  EXPECT_EQ(budget.bytes(), 0);
}

TEST_P(KeySetStoreTest, OverTheMemoryLimitNothingChanges) {
  memory_bytes_max_ = 105'000;  // "a" takes 58'000, 1500 rows 42'000
  Open();
  const int64_t version = UploadPart(*store_, "a", kLayout, {1, 2000}).value()->version();
  const int64_t held = store_->budget().bytes();
  const absl::Status refused = store_->BeginUpload(UploadSpec("b", kLayout, 2000)).status();
  EXPECT_EQ(refused.code(), kResourceExhausted);
  EXPECT_FALSE(RetryAfterOf(refused).has_value());
  // The rows fit in memory, but the version that they would make does not.
  EXPECT_EQ(UploadPart(*store_, "a", kLayout, {2, 1500}, version).status().code(),
            kResourceExhausted);
  EXPECT_EQ(store_->budget().bytes(), held);
  EXPECT_EQ(ContentsOf("a"), Expected({{1, 2000}}));
  EXPECT_TRUE(UploadPart(*store_, "a", kLayout, {2, 10}, version).ok());
}

TEST_P(KeySetStoreTest, AnUploadThatComesTooLateIsRefused) {
  KeySetUploadSpec spec = UploadSpec("a", kLayout, 1);
  spec.expected_version = UploadPart(*store_, "a", kLayout, {1, 10}).value()->version();
  const auto begin = [&] {
    auto append = store_->BeginUpload(spec).value();
    EXPECT_TRUE(append->Add(ColumnId::kKeys, PartBytes(kLayout, ColumnId::kKeys, {2, 1})).ok());
    EXPECT_TRUE(append->Add(ColumnId::kValues, PartBytes(kLayout, ColumnId::kValues, {2, 1})).ok());
    return append;
  };
  const auto late = begin();
  const auto replaced = begin();
  spec.expected_version =
      UploadPart(*store_, "a", kLayout, {3, 1}, *spec.expected_version).value()->version();
  EXPECT_EQ(late->Commit().status().code(), kFailedPrecondition);
  const auto deleted = begin();
  KeySetLayout other = kLayout;
  other.d = 5;
  ASSERT_TRUE(UploadPart(*store_, "a", other, {4, 10}).ok());
  EXPECT_EQ(replaced->Commit().status().code(), kFailedPrecondition);
  ASSERT_TRUE(store_->Delete("a").ok());
  EXPECT_EQ(deleted->Commit().status().code(), kNotFound);
}

TEST_P(KeySetStoreTest, ListGoesOnBehindANameThatIsGone) {
  for (const char* name : {"b", "a", "d", "c"}) {
    ASSERT_TRUE(UploadPart(*store_, name, kLayout, {1, 1}).ok());
  }
  const auto names = [this](const char* after, int64_t count) {
    std::string all;
    for (const KeySetStore::Listed& listed : store_->List(after, count)) all += listed.name;
    return all;
  };
  EXPECT_EQ(names("", 10), "abcd");
  EXPECT_EQ(names("", 2), "ab");
  ASSERT_TRUE(store_->Delete("b").ok());
  EXPECT_EQ(names("b", 10), "cd");
  EXPECT_EQ(names("d", 10), "");
}

}  // namespace
}  // namespace qkserve
