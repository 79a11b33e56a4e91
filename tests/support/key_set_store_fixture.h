#ifndef QKSERVE_TESTS_SUPPORT_KEY_SET_STORE_FIXTURE_H_
#define QKSERVE_TESTS_SUPPORT_KEY_SET_STORE_FIXTURE_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/byte_budget.h"
#include "base/mutex.h"
#include "core/key_sets/key_set_store.h"
#include "gtest/gtest.h"
#include "qkserve/limits.h"
#include "tests/support/forgetful_file_system.h"
#include "tests/support/key_set_rows.h"
#include "tests/support/key_set_uploads.h"

namespace qkserve {

inline const KeySetLayout kStoreTestLayout = {
    .leading = {}, .d = 3, .key_type = DataType::kFloat16};

// Stores that share one directory in memory.
class KeySetStoreFixture : public testing::Test {
 protected:
  using Found = absl::StatusOr<std::shared_ptr<const KeySet>>;

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
    return UploadPart(store, name, kStoreTestLayout, part, expected_version);
  }

  std::string Expected(const std::vector<Part>& parts) {
    return Contents(*BuildKeySet(kStoreTestLayout, parts, &unlimited_));
  }
  static std::string ContentsOf(const KeySetStore& store, const std::string& name) {
    const Found found = store.Find(name);
    return found.ok() ? Contents(**found) : found.status().ToString();
  }

  // Overwrites the files of the set whose names begin with `beginning`.
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

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_KEY_SET_STORE_FIXTURE_H_
