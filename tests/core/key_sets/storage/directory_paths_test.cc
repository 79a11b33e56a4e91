#include "core/key_sets/storage/directory_paths.h"

#include <string>

#include "gtest/gtest.h"
#include "tests/support/forgetful_file_system.h"

namespace qkserve {
namespace {

TEST(DirectoryPathsTest, KnowsTheVersionOfItsOwnSegmentFilesOnly) {
  EXPECT_EQ(SegmentFile(12, 5, 10), "segment-12-5-15.safetensors");
  EXPECT_EQ(VersionOfSegment(SegmentFile(12, 5, 10)), 12);
  EXPECT_EQ(VersionOfSegment(SegmentFile(1, 0, 0)), 1);
  for (const char* const other :
       {"", "segment-.safetensors", "segment-1-0.safetensors", "segment-1-0-5", "manifest.json",
        "segment-01-0-5.safetensors", "segment-1-0-5-6.safetensors", "segment-x-0-5.safetensors",
        "a-segment-1-0-5.safetensors", "segment-1-0-5.safetensors.tmp"}) {
    EXPECT_EQ(VersionOfSegment(other), 0) << other;
  }
}

TEST(DirectoryPathsTest, TemporaryPathsAreNewAndRecognised) {
  ForgetfulFileSystem files;
  ASSERT_TRUE(files.MakeDirectory("/sets").ok());
  ASSERT_TRUE(files.MakeDirectory("/sets/.put-a-0.tmp").ok());
  DirectoryPaths paths(&files, "/sets");
  EXPECT_EQ(paths.TemporaryPath("put", "a"), "/sets/.put-a-1.tmp");
  EXPECT_EQ(paths.TemporaryPath("put", "a"), "/sets/.put-a-2.tmp");
  EXPECT_EQ(paths.DeletedPath(7, "a"), "/sets/.deleted-7-a-3.tmp");
  EXPECT_EQ(VersionOfDeleted(".deleted-7-a-3.tmp"), 7);
  for (const char* const name : {".put-a-1.tmp", ".segment-b-0.tmp", ".deleted-7-a-3.tmp",
                                 ".last_version.tmp", ".synced.tmp"}) {
    EXPECT_TRUE(IsTemporary(name)) << name;
  }
  for (const char* const name :
       {"a", "a.tmp", ".lock", ".last_version", ".other-a.tmp", ".put-a"}) {
    EXPECT_FALSE(IsTemporary(name)) << name;
    EXPECT_EQ(VersionOfDeleted(name), 0) << name;
  }
}

}  // namespace
}  // namespace qkserve
