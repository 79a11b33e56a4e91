#include "server/lifecycle/connection_table.h"

#include <sys/stat.h>

#include <algorithm>

namespace qkserve {

ConnectionTable::Outcome ConnectionTable::Add(int descriptor, const std::string& peer,
                                              absl::Time now) {
  // A known descriptor means that its old socket is closed and that the system has used the number
  // again.
  if (const auto old = open_.find(descriptor); old != open_.end()) {
    Forget(old->second.peer);
    open_.erase(old);
  }
  Outcome outcome = Check(peer);
  if (outcome != Outcome::kAdded && now >= sweep_from_) {
    Sweep();
    sweep_from_ = now + kSweepEvery;
    outcome = Check(peer);
  }
  if (outcome != Outcome::kAdded) return outcome;
  open_[descriptor] = {number_(descriptor), peer};
  ++of_peer_[peer];
  return outcome;
}

ConnectionTable::Outcome ConnectionTable::Check(const std::string& peer) const {
  if (count() >= connections_max_) return Outcome::kFull;
  const auto of_peer = of_peer_.find(peer);
  const bool is_full =
      !peer.empty() && of_peer != of_peer_.end() && of_peer->second >= per_peer_max_;
  return is_full ? Outcome::kPeerFull : Outcome::kAdded;
}

void ConnectionTable::Sweep() {
  std::erase_if(open_, [this](const auto& entry) {
    const Connection& connection = entry.second;
    const bool has_ended = number_(entry.first) != connection.number;
    if (has_ended) Forget(connection.peer);
    return has_ended;
  });
}

void ConnectionTable::Forget(const std::string& peer) {
  const auto of_peer = of_peer_.find(peer);
  if (--of_peer->second == 0) of_peer_.erase(of_peer);
}

uint64_t ConnectionTable::NumberOfSocket(int descriptor) {
  struct stat now = {};
  return fstat(descriptor, &now) == 0 && S_ISSOCK(now.st_mode) ? now.st_ino : 0;
}

int64_t ConnectionsAllowed(int64_t connections_max, int64_t files, int64_t reserved) {
  return std::min(connections_max, std::max<int64_t>({files - reserved, files / 2, 1}));
}

}  // namespace qkserve
