#include "base/whole_file.h"

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

class WholeFileTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  std::string Read(const std::string& name) const {
    std::ifstream file(Path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  int64_t FileCount() const {
    return std::distance(std::filesystem::directory_iterator(directory_.path()), {});
  }

  const TemporaryDirectory directory_{"whole_file_test"};
};

TEST_F(WholeFileTest, ReplacesWhatIsThere) {
  for (const char* text : {"first, and longer", "second"}) {
    EXPECT_TRUE(WriteFileWhole(Path("f"), {text, "."}, IfIrreplaceable::kFail).ok());
    EXPECT_EQ(Read("f"), std::string(text) + ".");
  }
  EXPECT_EQ(FileCount(), 1);
}

TEST_F(WholeFileTest, AnErrorLeavesNoOtherFile) {
  std::filesystem::create_directory(Path("f"));
  const absl::Status status = WriteFileWhole(Path("f"), {"text"}, IfIrreplaceable::kFail);
  EXPECT_TRUE(absl::StartsWith(status.message(), Path("f") + ": cannot replace")) << status;
  EXPECT_EQ(FileCount(), 1);
}

TEST_F(WholeFileTest, NamesTheFileThatCannotBeMade) {
  const absl::Status status = WriteFileWhole(Path("none/f"), {"text"}, IfIrreplaceable::kFail);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(absl::StartsWith(status.message(), Path("none/f") + ": cannot create")) << status;
}

TEST_F(WholeFileTest, WritesInPlaceIfTheFolderTakesNoNewFile) {
  ASSERT_TRUE(WriteFileWhole(Path("f"), {"old text"}, IfIrreplaceable::kFail).ok());
  // A folder with the temporary file's name makes the write fail even for root.
  std::filesystem::create_directory(Path("f.tmp." + std::to_string(getpid())));
  EXPECT_FALSE(WriteFileWhole(Path("f"), {"new"}, IfIrreplaceable::kFail).ok());
  EXPECT_EQ(Read("f"), "old text");
  EXPECT_TRUE(WriteFileWhole(Path("f"), {"new"}, IfIrreplaceable::kWriteInPlace).ok());
  EXPECT_EQ(Read("f"), "new");
}

}  // namespace
}  // namespace qkserve
