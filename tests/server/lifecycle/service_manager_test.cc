#include "server/lifecycle/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/file_descriptor.h"
#include "gtest/gtest.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

class ServiceManagerTest : public testing::Test {
 protected:
  ~ServiceManagerTest() override { unsetenv("NOTIFY_SOCKET"); }

  // Plays the service manager, which passes `name` to its services.
  void Listen(const std::string& name) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    manager_ = FileDescriptor(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(manager_.get(), reinterpret_cast<const sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size())),
              0);
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }

  // Returns the next message, or "" if there is none.
  std::string Received() const {
    char bytes[256];
    const ssize_t size = recv(manager_.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
    return size < 0 ? "" : std::string(bytes, static_cast<size_t>(size));
  }

  const TemporaryDirectory directory_{"service_manager_test"};
  FileDescriptor manager_{-1};
};

TEST_F(ServiceManagerTest, GetsEachStateAsADatagram) {
  for (const std::string& name : {directory_.Path("notify"), "@" + directory_.Path("abstract")}) {
    ASSERT_NO_FATAL_FAILURE(Listen(name));
    TellServiceManager("READY=1\nSTATUS=listening");
    TellServiceManager("STOPPING=1");
    EXPECT_EQ(Received(), "READY=1\nSTATUS=listening");
    EXPECT_EQ(Received(), "STOPPING=1");
    EXPECT_EQ(Received(), "");
  }
}

TEST_F(ServiceManagerTest, MayBeAbsent) {
  unsetenv("NOTIFY_SOCKET");
  TellServiceManager("READY=1");
  for (const std::string& name :
       {directory_.Path("nobody"), std::string(500, 'x'), std::string()}) {
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    TellServiceManager("READY=1");
  }
}

}  // namespace
}  // namespace qkserve
