#ifndef QKSERVE_TESTS_SUPPORT_KEY_SET_DIRECTORY_FIXTURE_H_
#define QKSERVE_TESTS_SUPPORT_KEY_SET_DIRECTORY_FIXTURE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/byte_budget.h"
#include "core/key_sets/storage/key_set_directory.h"
#include "gtest/gtest.h"
#include "qkserve/limits.h"
#include "tests/support/forgetful_file_system.h"
#include "tests/support/key_set_rows.h"

namespace qkserve {

inline const KeySetLayout kDirectoryTestLayout = {.leading = {2},
                                                  .d = 3,
                                                  .key_type = DataType::kFloat32,
                                                  .dv = 2,
                                                  .value_type = DataType::kFloat16};

// A directory of key sets in memory. A test may use one on disk instead.
class KeySetDirectoryFixture : public testing::Test {
 protected:
  using Mode = KeySetDirectory::Mode;

  std::unique_ptr<KeySetDirectory> Open(Mode mode = Mode::kWriter) {
    auto directory = KeySetDirectory::Open(files_, path_, mode);
    EXPECT_TRUE(directory.ok()) << directory.status();
    return *std::move(directory);
  }

  absl::Status Put(KeySetDirectory& directory, const std::string& name, int64_t version,
                   const Part& part, const KeySetLayout& layout = kDirectoryTestLayout) {
    auto segment = directory.NewSegment(name, layout, part.rows);
    if (!segment.ok()) return segment.status();
    absl::Status status = WritePart(layout, part, **segment);
    return status.ok() ? directory.Put(name, version, *std::move(segment)) : status;
  }
  absl::Status Append(KeySetDirectory& directory, const std::string& name, int64_t version,
                      const Part& part, const KeySetLayout& layout = kDirectoryTestLayout) {
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
  std::string Expected(const std::vector<Part>& parts,
                       const KeySetLayout& layout = kDirectoryTestLayout) {
    return Contents(*BuildKeySet(layout, parts, &budget_));
  }
  void ExpectContents(const KeySetDirectory& directory, const std::string& name,
                      const std::vector<Part>& parts,
                      const KeySetLayout& layout = kDirectoryTestLayout) {
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

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_KEY_SET_DIRECTORY_FIXTURE_H_
