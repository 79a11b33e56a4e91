#include "bench/contender.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace qkserve::bench {
namespace {

// The number of connections to a server. A connection carries about as much as one core can send.
constexpr int kChannels = 4;
constexpr absl::Duration kStartTimeout = absl::Seconds(20);

}  // namespace

absl::StatusOr<std::vector<Contender>> StartContenders(
    absl::Span<const ContenderCommand> commands) {
  std::vector<Contender> contenders;
  for (const ContenderCommand& command : commands) {
    Contender contender;
    contender.name = command.name;
    contender.computes = command.computes;
    contender.serves_many = command.serves_many;
    absl::StatusOr<std::unique_ptr<ChildServer>> server =
        ChildServer::Start(command.command, kStartTimeout);
    if (!server.ok()) return About(contender, server.status());
    contender.server = *std::move(server);
    contenders.push_back(std::move(contender));
  }
  // Connections are made last, because gRPC starts threads, and forks must come before any thread.
  for (Contender& contender : contenders) {
    contender.remote =
        std::make_unique<Remote>(contender.server->address(), contender.server->pid(), kChannels);
  }
  return contenders;
}

absl::Status StopContenders(std::vector<Contender>& contenders) {
  absl::Status status;
  for (Contender& contender : contenders) {
    contender.remote.reset();
    status.Update(About(contender, contender.server->Stop()));
  }
  return status;
}

absl::Status About(const Contender& contender, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat("contender ", contender.name, ": ", status.message()));
}

}  // namespace qkserve::bench
