#include "core/key_sets/storage/directory_error.h"

#include <string>

#include "gtest/gtest.h"

namespace qkserve {
namespace {

std::string Told(const std::string& message) {
  return std::string(DirectoryErrorForCaller(absl::DataLossError(message), "/data/keys").message());
}

TEST(DirectoryErrorTest, TellsNoCallerWhereTheDirectoryIs) {
  EXPECT_EQ(Told("/data/keys/items/segment: bad checksum"), "items/segment: bad checksum");
  EXPECT_EQ(Told("/data/keys: gone"), ".: gone");
  EXPECT_EQ(Told("cannot rename /data/keys/a to /data/keys/b"), "cannot rename a to b");
}

TEST(DirectoryErrorTest, LeavesWhatIsNotTheDirectory) {
  EXPECT_EQ(Told("/data/keys2/items: odd"), "/data/keys2/items: odd");
  EXPECT_EQ(Told("x/data/keys/items"), "x/data/keys/items");
  EXPECT_EQ(Told(""), "");
}

// NOT_FOUND for a missing file would tell a caller that the key set is unknown.
TEST(DirectoryErrorTest, CodesThatMeanSomethingElseToACallerAreInternal) {
  const absl::Status told =
      DirectoryErrorForCaller(absl::NotFoundError("/data/keys/a: gone"), "/data/keys");
  EXPECT_EQ(told, absl::InternalError("key_set_dir: a: gone"));
  EXPECT_TRUE(DirectoryErrorForCaller(absl::OkStatus(), "/data/keys").ok());
}

}  // namespace
}  // namespace qkserve
