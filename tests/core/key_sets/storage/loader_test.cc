#include "core/key_sets/storage/loader.h"

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/key_set_directory_fixture.h"

namespace qkserve {
namespace {

using testing::HasSubstr;

class LoaderTest : public KeySetDirectoryFixture {};

TEST_F(LoaderTest, SaysThatThereIsNoMemory) {
  const auto directory = Open();
  ASSERT_TRUE(Put(*directory, "a", 1, {1, 1000}).ok());
  ByteBudget small("key_set_memory", 1000);
  EXPECT_TRUE(absl::IsResourceExhausted(directory->Load("a", &small, nullptr).status()));
  EXPECT_EQ(small.bytes(), 0);
}

TEST_F(LoaderTest, WithACurrentVersionOnlyWhatIsNewIsRead) {
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

TEST_F(LoaderTest, ACurrentVersionOfAnEarlierPutIsReadAnew) {
  const auto directory = Open();
  ASSERT_TRUE(Put(*directory, "a", 1, {1, 100}).ok());
  const auto first = *directory->Load("a", &budget_, nullptr);
  ASSERT_TRUE(Put(*directory, "a", 2, {2, 200}).ok());
  const auto second = directory->Load("a", &budget_, first);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(Contents(**second) == Expected({{2, 200}}));
}

TEST_F(LoaderTest, DamageAnywhereIsFoundAndStaysWithItsSet) {
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

// The rows of every version are known beforehand. Version v appends part v, or puts part v if v is
// a multiple of 30.
TEST_F(LoaderTest, AReaderFindsWholeVersionsWhileTheWriterReplacesThem) {
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

}  // namespace
}  // namespace qkserve
