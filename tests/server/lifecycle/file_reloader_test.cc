#include "server/lifecycle/file_reloader.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Only the test calls Look, so each look happens when the test says.
class FileReloaderTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return directory_.Path(name); }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name), std::ios::trunc) << text;
  }
  // All contents except "bad" are applied.
  WatchedFiles Watch(const std::vector<std::string>& names) {
    WatchedFiles files = {.flag = "tokens_file",
                          .paths = {},
                          .apply = [this](const std::vector<std::string>& contents) {
                            if (contents.front() == "bad") return absl::InvalidArgumentError("bad");
                            in_use_ = contents;
                            return absl::OkStatus();
                          }};
    for (const std::string& name : names) files.paths.push_back(Path(name));
    return files;
  }
  // A change is read at the second look that sees it.
  void LookTwice() {
    reloader_.Look();
    reloader_.Look();
  }

  const TemporaryDirectory directory_{"file_reloader_test"};
  std::vector<std::string> in_use_;
  std::vector<std::string> log_;
  absl::Time now_ = absl::FromUnixSeconds(1000);
  FileReloader reloader_{[this](const LogEvent& event) { log_.push_back(event.message); },
                         absl::InfiniteDuration(), [this] { return now_; }};
};

TEST_F(FileReloaderTest, AppliesAtOnceAndAfterAChange) {
  Write("f", "one");
  ASSERT_TRUE(reloader_.Add(Watch({"f"})).ok());
  EXPECT_THAT(in_use_, ElementsAre("one"));
  now_ += absl::Seconds(7);
  LookTwice();
  EXPECT_EQ(reloader_.outcomes().front().last_applied, absl::FromUnixSeconds(1000));
  Write("f", "two");
  LookTwice();
  EXPECT_THAT(in_use_, ElementsAre("two"));
  const FileReloader::Outcome outcome = reloader_.outcomes().front();
  EXPECT_EQ(outcome.flag, "tokens_file");
  EXPECT_EQ(outcome.applied, 2);
  EXPECT_EQ(outcome.refused, 0);
  EXPECT_EQ(outcome.last_applied, absl::FromUnixSeconds(1007));
  EXPECT_THAT(log_, ElementsAre("tokens_file: changed files are in use"));
}

TEST_F(FileReloaderTest, FilesOfAFlagAreAppliedTogether) {
  Write("certificate", "c1");
  Write("key", "k1");
  ASSERT_TRUE(reloader_.Add(Watch({"certificate", "key"})).ok());
  Write("key", "k2");
  LookTwice();
  EXPECT_THAT(in_use_, ElementsAre("c1", "k2"));
}

TEST_F(FileReloaderTest, AFileThatIsBeingWrittenIsNotRead) {
  Write("f", "one");
  ASSERT_TRUE(reloader_.Add(Watch({"f"})).ok());
  for (const char* part : {"t", "tw", "two, whole"}) {
    Write("f", part);
    reloader_.Look();
    EXPECT_THAT(in_use_, ElementsAre("one"));
  }
  reloader_.Look();
  EXPECT_THAT(in_use_, ElementsAre("two, whole"));
}

TEST_F(FileReloaderTest, RefusedContentsLeaveTheOldOnesAndAreLoggedOnce) {
  Write("f", "one");
  ASSERT_TRUE(reloader_.Add(Watch({"f"})).ok());
  Write("f", "bad");
  for (int i = 0; i < 4; ++i) reloader_.Look();
  EXPECT_THAT(in_use_, ElementsAre("one"));
  EXPECT_THAT(log_, ElementsAre("tokens_file: bad; what was read before stays in use"));
  EXPECT_EQ(reloader_.outcomes().front().refused, 1);
  Write("f", "good");
  LookTwice();
  EXPECT_THAT(in_use_, ElementsAre("good"));
}

TEST_F(FileReloaderTest, AFileThatGoesAwayIsReadWhenItIsBack) {
  Write("f", "one");
  ASSERT_TRUE(reloader_.Add(Watch({"f"})).ok());
  std::filesystem::remove(Path("f"));
  for (int i = 0; i < 4; ++i) reloader_.Look();
  EXPECT_THAT(in_use_, ElementsAre("one"));
  ASSERT_EQ(log_.size(), 1U);
  EXPECT_THAT(log_.front(), HasSubstr("f: cannot open: No such file or directory"));
  Write("f", "two");
  LookTwice();
  EXPECT_THAT(in_use_, ElementsAre("two"));
}

// Kubernetes replaces a secret by replacing a link to its directory.
TEST_F(FileReloaderTest, ALinkInThePathIsFollowed) {
  for (const char* version : {"v1", "v2"}) {
    std::filesystem::create_directory(Path(version));
    Write(std::string(version) + "/f", version);
  }
  std::filesystem::create_directory_symlink("v1", Path("data"));
  std::filesystem::create_symlink("data/f", Path("f"));
  ASSERT_TRUE(reloader_.Add(Watch({"f"})).ok());
  std::filesystem::create_directory_symlink("v2", Path("data.new"));
  std::filesystem::rename(Path("data.new"), Path("data"));
  LookTwice();
  EXPECT_THAT(in_use_, ElementsAre("v2"));
}

// The new file has the same size, and its time of modification was set back.
TEST_F(FileReloaderTest, AnOldTimeOfModificationHidesNoChange) {
  Write("f", "one");
  const auto time = std::filesystem::last_write_time(Path("f"));
  ASSERT_TRUE(reloader_.Add(Watch({"f"})).ok());
  Write("g", "two");
  std::filesystem::last_write_time(Path("g"), time);
  std::filesystem::rename(Path("g"), Path("f"));
  LookTwice();
  EXPECT_THAT(in_use_, ElementsAre("two"));
}

TEST_F(FileReloaderTest, AnErrorAtTheStartNamesTheFlagAndIsNotTheUsersCode) {
  Write("f", "bad");
  const absl::Status refused = reloader_.Add(Watch({"f"}));
  EXPECT_EQ(refused, absl::FailedPreconditionError("tokens_file: bad"));
  WatchedFiles files = Watch({"f", "none"});
  files.path_flags = {"tls_cert_file", "tls_key_file"};
  const absl::Status unread = reloader_.Add(files);
  EXPECT_EQ(unread.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(absl::StartsWith(unread.message(), "tls_key_file: " + Path("none"))) << unread;
  EXPECT_THAT(reloader_.outcomes(), IsEmpty());
}

TEST_F(FileReloaderTest, APipeIsRefusedAndNotWaitedFor) {
  ASSERT_EQ(mkfifo(Path("f").c_str(), 0600), 0);
  EXPECT_THAT(std::string(reloader_.Add(Watch({"f"})).message()), HasSubstr("is no regular file"));
}

TEST_F(FileReloaderTest, AFileThatIsTooLargeIsRefused) {
  Write("f", "one");
  ASSERT_TRUE(reloader_.Add(Watch({"f"})).ok());
  std::filesystem::resize_file(Path("f"), FileReloader::kFileBytesMax + 1);
  LookTwice();
  EXPECT_THAT(in_use_, ElementsAre("one"));
  EXPECT_THAT(log_, ElementsAre(HasSubstr("has more than 16777216 bytes")));
}

}  // namespace
}  // namespace qkserve
