#include "tools/qkctl/output/file_output.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

class FileOutputTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  std::string Read(const std::string& name) const {
    std::ifstream file(Path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const TemporaryDirectory directory_{"file_output_test"};
};

TEST_F(FileOutputTest, ReplacesWhatIsThere) {
  for (const char* text : {"first, and longer", "second"}) {
    EXPECT_TRUE(CheckFileOutput(Path("f")).ok());
    EXPECT_TRUE(WriteOutput(Path("f"), {text, "."}).ok());
    EXPECT_EQ(Read("f"), std::string(text) + ".");
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_.path()), {}), 1);
}

TEST_F(FileOutputTest, WritesThroughLinks) {
  std::filesystem::create_directory(Path("real"));
  std::filesystem::create_symlink("real/f", Path("link"));
  ASSERT_TRUE(WriteOutput(Path("real/f"), {"old"}).ok());
  EXPECT_TRUE(CheckFileOutput(Path("link")).ok());
  EXPECT_TRUE(WriteOutput(Path("link"), {"new"}).ok());
  EXPECT_TRUE(std::filesystem::is_symlink(Path("link")));
  EXPECT_EQ(Read("real/f"), "new");
}

TEST_F(FileOutputTest, WritesToWhatIsNoFile) {
  EXPECT_TRUE(CheckFileOutput("/dev/null").ok());
  EXPECT_TRUE(WriteOutput("/dev/null", {"text"}).ok());
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

TEST_F(FileOutputTest, SaysBeforehandWhatCannotBe) {
  for (const std::string& path : {Path("none/f"), Path("")}) {
    EXPECT_FALSE(CheckFileOutput(path).ok()) << path;
    EXPECT_FALSE(WriteOutput(path, {"text"}).ok()) << path;
  }
  EXPECT_TRUE(CheckFileOutput("-").ok());
}

TEST_F(FileOutputTest, NothingIsWrittenTwiceOrOverAnInput) {
  const auto message = [](const std::vector<FlagFile>& outputs,
                          const std::vector<FlagFile>& inputs = {}) {
    return std::string(CheckDistinct(outputs, inputs).message());
  };
  EXPECT_EQ(message({{"out", Path("a")}, {"csv", Path("b")}, {"json", ""}, {"heatmap", ""}}), "");
  EXPECT_EQ(message({{"out", Path("a")}, {"csv", Path("./a")}}),
            "--out and --csv are written to one place: " + Path("./a"));
  EXPECT_EQ(message({{"out", "-"}, {"csv", "-"}}), "--out and --csv are written to one place: -");
  EXPECT_EQ(message({{"out", "/dev/null"}, {"csv", "/dev/null"}}), "");

  ASSERT_TRUE(WriteOutput(Path("q.npy"), {"queries"}).ok());
  std::filesystem::create_symlink("q.npy", Path("link"));
  std::filesystem::create_hard_link(Path("q.npy"), Path("second"));
  for (const std::string& path : {Path("q.npy"), Path("link"), Path("second")}) {
    EXPECT_EQ(message({{"out", path}}, {{"keys", ""}, {"queries", Path("q.npy")}}),
              "--out would overwrite the file of --queries: " + path);
  }
  EXPECT_EQ(CheckOutputs({{{"out", Path("none/f")}}}), CheckFileOutput(Path("none/f")));
}

}  // namespace
}  // namespace qkserve
