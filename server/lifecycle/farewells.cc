#include "server/lifecycle/farewells.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "server/lifecycle/connection_table.h"

namespace qkserve {
namespace {

// The time between two looks at the kept sockets if no peer writes.
constexpr int kLookEveryMs = 50;

std::atomic<Farewells*> of_process = nullptr;

int SystemShutdown(int socket, int how) {
  return static_cast<int>(syscall(SYS_shutdown, socket, how));
}

bool HasPeerClosed(int socket) {
  pollfd polled = {.fd = socket, .events = POLLRDHUP, .revents = 0};
  return poll(&polled, 1, 0) != 0;
}

// True if a TCP peer has acknowledged all bytes, or the peer of a unix socket has read them. The
// end of sending may count as one byte.
bool IsDelivered(int socket) {
  int unsent_bytes = 0;
  return ioctl(socket, SIOCOUTQ, &unsent_bytes) != 0 || unsent_bytes <= 1;
}

// Finds all epoll sets of the process, because gRPC does not tell which one it uses. Reads a link
// for each descriptor, which takes 10 ms with 8192 connections.
std::vector<int> EpollSets() {
  std::vector<int> sets;
  std::error_code error;
  using Links = std::filesystem::directory_iterator;
  for (Links link("/proc/self/fd", error); !error && link != Links(); link.increment(error)) {
    std::error_code has_gone;
    int descriptor = -1;
    if (std::filesystem::read_symlink(*link, has_gone) == "anon_inode:[eventpoll]" &&
        absl::SimpleAtoi(link->path().filename().string(), &descriptor)) {
      sets.push_back(descriptor);
    }
  }
  return sets;
}

}  // namespace

Farewells& Farewells::OfProcess() {
  static Farewells* const farewells = [] {
    auto* const made = new Farewells({}, Clock::Monotonic());
    of_process = made;
    return made;
  }();
  return *farewells;
}

Farewells::Farewells(Limits limits, const Clock* clock)
    : limits_(limits), clock_(*clock), thread_([this] { return Step(); }) {}

void Farewells::Watch(int socket) {
  MutexLock lock(&mutex_);
  watched_[socket] = ConnectionTable::NumberOfSocket(socket);
}

bool Farewells::Keep(int socket) {
  {
    MutexLock lock(&mutex_);
    const auto watched = watched_.find(socket);
    if (watched == watched_.end()) return false;
    const uint64_t number = watched->second;
    watched_.erase(watched);
    if (number != ConnectionTable::NumberOfSocket(socket) || HasPeerClosed(socket)) return false;
    if (count_ >= limits_.sockets_max) return false;
    FileDescriptor duplicate(fcntl(socket, F_DUPFD_CLOEXEC, 0));
    if (duplicate.get() < 0 || !LeaveEpollSets(socket)) return false;
    if (SystemShutdown(socket, SHUT_WR) != 0) return false;
    const absl::Time now = clock_.Now();
    arrived_.push_back(
        {.socket = std::move(duplicate), .end = now + limits_.time_max, .silent_since = now});
    ++count_;
  }
  thread_.Wake();
  return true;
}

// Removes a socket from gRPC's epoll set. Closing the socket would not remove it while a duplicate
// is open, and gRPC would take the duplicate's events for events of a newer connection. Returns
// false if the socket is in no set.
bool Farewells::LeaveEpollSets(int socket) {
  if (!epoll_sets_.has_value()) epoll_sets_ = EpollSets();
  bool has_left = false;
  for (const int set : *epoll_sets_) {
    epoll_event ignored = {};
    has_left |= epoll_ctl(set, EPOLL_CTL_DEL, socket, &ignored) == 0;
  }
  return has_left;
}

int64_t Farewells::AwaitNone(const Clock& clock, absl::Time deadline) {
  MutexLock lock(&mutex_);
  while (count_ > 0) {
    const absl::Duration left = deadline - clock.Now();
    if (left <= absl::ZeroDuration()) break;
    none_.WaitFor(&mutex_, left);
  }
  return count_;
}

// Looks at each kept socket once. Returns the pause until the next look.
absl::Duration Farewells::Step() {
  {
    MutexLock lock(&mutex_);
    for (Kept& kept : arrived_) kept_.push_back(std::move(kept));
    arrived_.clear();
  }
  if (kept_.empty()) return absl::InfiniteDuration();
  std::vector<pollfd> polled;
  for (const Kept& kept : kept_) {
    polled.push_back({.fd = kept.socket.get(), .events = POLLIN | POLLRDHUP, .revents = 0});
  }
  poll(polled.data(), polled.size(), kLookEveryMs);
  const auto released =
      static_cast<int64_t>(std::erase_if(kept_, [this](Kept& kept) { return IsOver(kept); }));
  MutexLock lock(&mutex_);
  count_ -= released;
  if (count_ == 0) none_.NotifyAll();
  return absl::ZeroDuration();
}

// Discards what the peer has written. Returns true if the peer has closed, or a limit is reached.
bool Farewells::IsOver(Kept& kept) const {
  const absl::Time now = clock_.Now();
  std::array<char, 16384> discarded;
  for (;;) {
    const ssize_t bytes = recv(kept.socket.get(), discarded.data(), discarded.size(), MSG_DONTWAIT);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0 && errno == EAGAIN) break;
    if (bytes <= 0) return true;
    kept.silent_since = now;
    kept.discarded_bytes += bytes;
    if (kept.discarded_bytes > limits_.discarded_bytes_max) return true;
  }
  if (!IsDelivered(kept.socket.get())) kept.silent_since = now;
  return now >= kept.end || now - kept.silent_since >= limits_.silence_max;
}

}  // namespace qkserve

// Replaces the C library's function in the whole process, because the linker exports a function of
// the program that a shared library, here gRPC's, needs. Without this export, gRPC's sockets end as
// they would without Farewells.
extern "C" [[gnu::visibility("default"), gnu::used]] int shutdown(int socket, int how) noexcept {
  if (how == SHUT_RDWR) {
    qkserve::Farewells* const farewells = qkserve::of_process;
    if (farewells != nullptr && farewells->Keep(socket)) return 0;
  }
  return qkserve::SystemShutdown(socket, how);
}
