#include "server/lifecycle/acceptor.h"

#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "gtest/gtest.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

TEST(AcceptorTest, ThePathOfASuccessorIsNotRemoved) {
  const TemporaryDirectory directory("acceptor_test");
  const std::string path = directory.Path("socket");
  BoundSockets sockets = BoundSockets::BindPath(path).value();
  ASSERT_TRUE(sockets.Listen().ok());
  const SocketAddress address = sockets.addresses().front();

  // The acceptor's end has to wait, because its thread is busy in `take`.
  std::promise<void> taken;
  std::promise<void> go_on;
  ConnectionCounts counts;
  auto acceptor = std::make_unique<Acceptor>(std::move(sockets),
                                             Acceptor::Options{.take =
                                                                   [&](int socket) {
                                                                     taken.set_value();
                                                                     go_on.get_future().wait();
                                                                     close(socket);
                                                                   },
                                                               .log = [](const LogEvent&) {}},
                                             &counts, Clock::Monotonic());
  const FileDescriptor client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(connect(client.get(), address.get(), address.size), 0);
  taken.get_future().wait();
  std::thread end([&acceptor] { acceptor = nullptr; });

  std::optional<BoundSockets> successor;
  EXPECT_TRUE(Eventually([&] {
    absl::StatusOr<BoundSockets> bound = BoundSockets::BindPath(path);
    if (bound.ok()) successor.emplace(*std::move(bound));
    return successor.has_value();
  }));
  go_on.set_value();
  end.join();
  EXPECT_TRUE(std::filesystem::exists(path));
  successor.reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace qkserve
