#include "server/lifecycle/connection_table.h"

#include <sys/socket.h>
#include <unistd.h>

#include <map>

#include "base/file_descriptor.h"
#include "gtest/gtest.h"
#include "server/limits.h"

namespace qkserve {
namespace {

using Outcome = ConnectionTable::Outcome;

// A table with made-up numbers as sockets.
class ConnectionTableTest : public testing::Test {
 protected:
  Outcome Add(int descriptor, const std::string& peer, uint64_t number = 0) {
    sockets_[descriptor] = number > 0 ? number : ++last_number_;
    return table_.Add(descriptor, peer, now_);
  }
  void Close(int descriptor) { sockets_.erase(descriptor); }

  std::map<int, uint64_t> sockets_;
  uint64_t last_number_ = 100;
  absl::Time now_ = absl::UnixEpoch();
  ConnectionTable table_{4, 2, [this](int descriptor) {
                           const auto found = sockets_.find(descriptor);
                           return found == sockets_.end() ? 0 : found->second;
                         }};
};

TEST_F(ConnectionTableTest, RefusesBeyondTheLimitOfAllAndOfAPeer) {
  EXPECT_EQ(Add(1, "a"), Outcome::kAdded);
  EXPECT_EQ(Add(2, "a"), Outcome::kAdded);
  EXPECT_EQ(Add(3, "a"), Outcome::kPeerFull);
  EXPECT_EQ(Add(3, "b"), Outcome::kAdded);
  EXPECT_EQ(Add(4, "c"), Outcome::kAdded);
  EXPECT_EQ(Add(5, "d"), Outcome::kFull);
  EXPECT_EQ(table_.count(), 4);
}

TEST_F(ConnectionTableTest, SocketsOfTheFileSystemHaveOnlyTheLimitOfAll) {
  for (int descriptor = 1; descriptor <= 4; ++descriptor) {
    EXPECT_EQ(Add(descriptor, ""), Outcome::kAdded);
  }
  EXPECT_EQ(Add(5, ""), Outcome::kFull);
}

TEST_F(ConnectionTableTest, APlaceIsFreeAgainWhenItsSocketIsClosed) {
  for (const int descriptor : {1, 2}) EXPECT_EQ(Add(descriptor, "a"), Outcome::kAdded);
  Close(1);
  EXPECT_EQ(Add(3, "a"), Outcome::kAdded);
  EXPECT_EQ(table_.count(), 2);
}

TEST_F(ConnectionTableTest, ADescriptorThatIsAnotherSocketByNowHasEnded) {
  EXPECT_EQ(Add(1, "a"), Outcome::kAdded);
  EXPECT_EQ(Add(1, "b"), Outcome::kAdded);  // the system gave the number to a new connection
  EXPECT_EQ(table_.count(), 1);
  sockets_[1] = 7;  // the system gave the number to a file
  table_.Sweep();
  EXPECT_EQ(table_.count(), 0);
}

TEST_F(ConnectionTableTest, LooksForEndedOnesAtMostTenTimesASecond) {
  for (int descriptor = 1; descriptor <= 4; ++descriptor) Add(descriptor, "");
  EXPECT_EQ(Add(5, ""), Outcome::kFull);
  Close(1);
  EXPECT_EQ(Add(5, ""), Outcome::kFull);
  now_ += ConnectionTable::kSweepEvery;
  EXPECT_EQ(Add(5, ""), Outcome::kAdded);
}

TEST(ConnectionTableSocketsTest, TheSystemTellsWhichSocketADescriptorIs) {
  ConnectionTable table(2, 2);
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  const FileDescriptor other(pair[1]);
  FileDescriptor one(pair[0]);
  EXPECT_EQ(table.Add(one.get(), "a", absl::UnixEpoch()), Outcome::kAdded);
  EXPECT_EQ(table.Add(other.get(), "a", absl::UnixEpoch()), Outcome::kAdded);
  table.Sweep();
  EXPECT_EQ(table.count(), 2);
  one.Close();
  table.Sweep();
  EXPECT_EQ(table.count(), 1);
}

TEST(ConnectionsAllowedTest, LeaveFilesForEverythingElse) {
  EXPECT_EQ(ConnectionsAllowed(8192, 1'048'576, 320), 8192);
  EXPECT_EQ(ConnectionsAllowed(8192, 1024, 320), 704);
  EXPECT_EQ(ConnectionsAllowed(8192, 400, 320), 200);
  EXPECT_EQ(ConnectionsAllowed(8192, 64, 320), 32);
  EXPECT_EQ(ConnectionsAllowed(10, 64, 320), 10);
}

}  // namespace
}  // namespace qkserve
