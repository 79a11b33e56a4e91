#include "core/key_sets/storage/file_system.h"

#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "qkserve/limits.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class FileSystemTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return temporary_.path() + "/" + name; }
  void Write(const std::string& name, const std::string& contents) {
    ASSERT_TRUE(ReplaceFile(files_, temporary_.path(), name, contents).ok());
  }

  const TemporaryDirectory temporary_;
  FileSystem* const files_ = FileSystem::Posix();
};

TEST_F(FileSystemTest, WritesAnywhereAndReadsItBack) {
  auto file = *files_->Create(Path("a"));
  const std::string text = "abc";
  ASSERT_TRUE(file->WriteAt(5, reinterpret_cast<const std::byte*>(text.data()), 3).ok());
  ASSERT_TRUE(file->WriteAt(0, reinterpret_cast<const std::byte*>(text.data()), 2).ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(file->Close().ok());
  EXPECT_EQ(*ReadFile(files_, Path("a"), kMiB), std::string("ab\0\0\0abc", 8));
  const auto reading = *files_->Open(Path("a"));
  EXPECT_EQ(reading->size(), 8);
  std::string some(2, ' ');
  ASSERT_TRUE(reading->ReadAt(5, 2, reinterpret_cast<std::byte*>(some.data())).ok());
  EXPECT_EQ(some, "ab");
  const absl::Status beyond = reading->ReadAt(7, 2, reinterpret_cast<std::byte*>(some.data()));
  EXPECT_TRUE(absl::IsDataLoss(beyond));
  EXPECT_THAT(beyond.message(), AllOf(HasSubstr(Path("a")), HasSubstr("ends at byte 8")));
}

TEST_F(FileSystemTest, AnOpenFileOutlivesItsName) {
  Write("a", "text");
  const auto reading = *files_->Open(Path("a"));
  ASSERT_TRUE(files_->Remove(Path("a")).ok());
  std::string text(4, ' ');
  EXPECT_TRUE(reading->ReadAt(0, 4, reinterpret_cast<std::byte*>(text.data())).ok());
  EXPECT_EQ(text, "text");
}

TEST_F(FileSystemTest, ListsInOrderAndTellsDirectories) {
  Write("b", "");
  ASSERT_TRUE(files_->MakeDirectory(Path("a")).ok());
  ASSERT_TRUE(files_->Rename(Path("b"), Path("c")).ok());
  ASSERT_TRUE(files_->SyncDirectory(temporary_.path()).ok());
  const auto entries = files_->List(temporary_.path());
  ASSERT_EQ(entries->size(), 2U);
  EXPECT_EQ((*entries)[0].name, "a");
  EXPECT_TRUE((*entries)[0].is_directory);
  EXPECT_EQ((*entries)[1].name, "c");
  EXPECT_FALSE((*entries)[1].is_directory);
}

TEST_F(FileSystemTest, ErrorsNameThePathAndTheCause) {
  Write("file", "text");
  ASSERT_TRUE(files_->MakeDirectory(Path("directory")).ok());
  const struct {
    absl::Status status;
    absl::StatusCode code;
    std::string path;
  } cases[] = {
      {files_->Open(Path("none")).status(), absl::StatusCode::kNotFound, "none: cannot open"},
      {files_->Open(Path("directory")).status(), absl::StatusCode::kFailedPrecondition,
       "directory: is not a file"},
      {files_->Create(Path("none/a")).status(), absl::StatusCode::kNotFound, "none/a"},
      {files_->Rename(Path("none"), Path("b")), absl::StatusCode::kNotFound, "none"},
      {files_->Remove(Path("none")), absl::StatusCode::kNotFound, "none"},
      {files_->MakeDirectory(Path("file")), absl::StatusCode::kAlreadyExists, "file"},
      {files_->RemoveDirectory(Path("none")), absl::StatusCode::kNotFound, "none"},
      {files_->SyncDirectory(Path("none")), absl::StatusCode::kNotFound, "none"},
      {files_->List(Path("none")).status(), absl::StatusCode::kNotFound, "none"},
      {ReadFile(files_, Path("file"), 3).status(), absl::StatusCode::kOutOfRange, "file"},
      {files_->Lock(Path("none/lock")).status(), absl::StatusCode::kNotFound, "none/lock"},
  };
  for (const auto& item : cases) {
    EXPECT_EQ(item.status.code(), item.code) << item.status;
    EXPECT_THAT(item.status.message(), HasSubstr(Path(item.path)));
  }
}

TEST_F(FileSystemTest, APipeDoesNotHoldUp) {
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(files_->Open(Path("pipe")).status()));
}

TEST_F(FileSystemTest, SaysThatThereIsNoSpace) {
  const auto file = files_->Create("/dev/full");
  if (!file.ok()) GTEST_SKIP() << file.status();
  const std::string text = "text";
  const absl::Status status =
      (*file)->WriteAt(0, reinterpret_cast<const std::byte*>(text.data()), 4);
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_THAT(status.message(), AllOf(HasSubstr("/dev/full"), HasSubstr("No space left")));
}

TEST_F(FileSystemTest, SaysThatItMayNot) {
  if (geteuid() == 0) GTEST_SKIP() << "root may do everything";
  ASSERT_TRUE(files_->Lock(Path("lock")).ok());
  ASSERT_EQ(chmod(temporary_.path().c_str(), 0500), 0);
  EXPECT_TRUE(absl::IsPermissionDenied(files_->Create(Path("a")).status()));
  EXPECT_TRUE(absl::IsPermissionDenied(files_->Lock(Path("lock")).status()));
  ASSERT_EQ(chmod(temporary_.path().c_str(), 0700), 0);
}

TEST_F(FileSystemTest, OneHoldsALock) {
  auto lock = files_->Lock(Path("lock"));
  ASSERT_TRUE(lock.ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(files_->Lock(Path("lock")).status()));
  lock->reset();
  EXPECT_TRUE(files_->Lock(Path("lock")).ok());
}

TEST_F(FileSystemTest, ALockKnowsWhetherItsPathStillLeadsToIt) {
  ASSERT_TRUE(files_->MakeDirectory(Path("d")).ok());
  const auto lock = files_->Lock(Path("d/lock")).value();
  EXPECT_TRUE(lock->Check().ok());
  ASSERT_TRUE(files_->Rename(Path("d"), Path("away")).ok());
  EXPECT_THAT(lock->Check().message(), HasSubstr("d/lock: cannot look at: No such file"));
  ASSERT_TRUE(files_->MakeDirectory(Path("d")).ok());
  EXPECT_FALSE(lock->Check().ok());
  Write("d/lock", "");
  EXPECT_THAT(lock->Check().message(), HasSubstr("is another file"));
  ASSERT_TRUE(files_->Remove(Path("d/lock")).ok());
  ASSERT_TRUE(files_->RemoveDirectory(Path("d")).ok());
  ASSERT_TRUE(files_->Rename(Path("away"), Path("d")).ok());
  EXPECT_TRUE(lock->Check().ok());
}

TEST_F(FileSystemTest, ADirectoryCanBeALock) {
  ASSERT_TRUE(files_->MakeDirectory(Path("lock")).ok());
  const auto lock = files_->Lock(Path("lock"));
  ASSERT_TRUE(lock.ok()) << lock.status();
  EXPECT_TRUE((*lock)->Check().ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(files_->Lock(Path("lock")).status()));
}

TEST_F(FileSystemTest, DirectoriesMakeWayForAFile) {
  for (const char* const name : {"a", "a.tmp"}) {
    for (int number = 0; number < 2; ++number) {
      files_->Remove(Path("a")).IgnoreError();
      ASSERT_TRUE(files_->MakeDirectory(Path(name)).ok());
      Write(std::string(name) + "/inside", "kept");
      ASSERT_TRUE(ReplaceFile(files_, temporary_.path(), "a", "text").ok());
      EXPECT_EQ(*ReadFile(files_, Path("a"), 10), "text");
      EXPECT_EQ(
          *ReadFile(files_,
                    Path(std::string(name) + ".directory-" + std::to_string(number) + "/inside"),
                    10),
          "kept");
    }
  }
}

TEST_F(FileSystemTest, ReplacingAFileLeavesNothingElse) {
  Write("a", "one");
  Write("a", "two");
  EXPECT_EQ(*ReadFile(files_, Path("a"), 3), "two");
  EXPECT_EQ(files_->List(temporary_.path())->size(), 1U);
}

}  // namespace
}  // namespace qkserve
