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

// The time between two looks at the limits of kept sockets.
constexpr absl::Duration kLookEvery = absl::Milliseconds(50);

// The shortest time between two searches for epoll sets.
constexpr absl::Duration kFindEvery = absl::Seconds(1);

std::atomic<Farewells*> of_process = nullptr;

int SystemShutdown(int socket, int how) {
  return static_cast<int>(syscall(SYS_shutdown, socket, how));
}

bool HasPeerClosed(int socket) {
  pollfd polled = {.fd = socket, .events = POLLRDHUP, .revents = 0};
  return poll(&polled, 1, 0) != 0;
}

// True if a TCP peer has acknowledged all bytes, or the peer of a unix socket has read them. A FIN
// may count as one byte. For a unix socket the count is memory in use.
bool IsDelivered(int socket) {
  int unsent_bytes = 0;
  return ioctl(socket, SIOCOUTQ, &unsent_bytes) != 0 || unsent_bytes <= 1;
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
  // The first search is here, because the process has few descriptors at its first connection.
  if (epoll_sets_.empty()) FindEpollSets();
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
    if (drains_ == 0 && count_ >= limits_.sockets_max) return false;
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

// Finds all epoll sets of the process, because gRPC does not tell which one it uses. Does nothing
// within kFindEvery of the last search. A search reads a link for each descriptor, which takes 10
// ms with 8192 connections. It fails if no descriptor is free.
void Farewells::FindEpollSets() {
  const absl::Time now = clock_.Now();
  if (now < find_from_) return;
  find_from_ = now + kFindEvery;
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
  if (!error) epoll_sets_ = std::move(sets);
}

// Removes a socket from gRPC's epoll set. Closing the socket would not remove it while a duplicate
// is open, and gRPC would take the duplicate's events for events of a newer connection. Returns
// false if the socket is in no set.
bool Farewells::LeaveEpollSets(int socket) {
  const auto leave = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    bool has_left = false;
    for (const int set : epoll_sets_) {
      epoll_event ignored = {};
      has_left |= epoll_ctl(set, EPOLL_CTL_DEL, socket, &ignored) == 0;
    }
    return has_left;
  };
  if (leave()) return true;
  FindEpollSets();
  return leave();
}

void Farewells::BeginDrain() {
  MutexLock lock(&mutex_);
  ++drains_;
}

int64_t Farewells::EndDrain(absl::Duration time_max) {
  const absl::Time end = clock_.Now() + time_max;
  MutexLock lock(&mutex_);
  while (count_ > 0) {
    const absl::Duration left = end - clock_.Now();
    if (left <= absl::ZeroDuration()) break;
    none_.WaitFor(&mutex_, left);
  }
  --drains_;
  return count_;
}

// Waits for events, for at most kLookEvery, and releases the sockets that are over. Returns the
// pause until the next step.
absl::Duration Farewells::Step() {
  absl::Duration silence_max;
  {
    MutexLock lock(&mutex_);
    for (Kept& kept : arrived_) kept_.push_back(std::move(kept));
    arrived_.clear();
    const bool is_short = drains_ > 0 || count_ > limits_.sockets_max / 2;
    silence_max = is_short ? limits_.short_silence_max : limits_.silence_max;
  }
  if (kept_.empty()) return absl::InfiniteDuration();
  std::vector<pollfd> polled;
  for (const Kept& kept : kept_) {
    polled.push_back({.fd = kept.socket.get(), .events = POLLIN | POLLRDHUP, .revents = 0});
  }
  const int ready =
      poll(polled.data(), polled.size(), static_cast<int>(absl::ToInt64Milliseconds(kLookEvery)));
  for (size_t i = 0; i < kept_.size(); ++i) kept_[i].events = polled[i].revents;

  const absl::Time now = clock_.Now();
  const bool is_look = ready == 0 || now >= look_from_;
  if (is_look) look_from_ = now + kLookEvery;
  const auto released = static_cast<int64_t>(std::erase_if(kept_, [&](Kept& kept) {
    bool is_over = kept.events != 0 && HasEnded(kept, now);
    if (is_look) {
      if (!IsDelivered(kept.socket.get())) kept.silent_since = now;
      is_over |= now >= kept.end || now - kept.silent_since >= silence_max;
    }
    // This cuts the connection even if gRPC has not closed its descriptor.
    if (is_over) SystemShutdown(kept.socket.get(), SHUT_RDWR);
    return is_over;
  }));
  MutexLock lock(&mutex_);
  count_ -= released;
  if (count_ == 0) none_.NotifyAll();
  return absl::ZeroDuration();
}

// Discards what the peer has written. Returns true if the peer has closed or written too much, or
// if the socket has an error.
bool Farewells::HasEnded(Kept& kept, absl::Time now) const {
  std::array<char, 16384> discarded;
  for (;;) {
    const ssize_t bytes = recv(kept.socket.get(), discarded.data(), discarded.size(), MSG_DONTWAIT);
    if (bytes < 0 && errno == EINTR) continue;
    // An event without POLLIN is an error. poll would report it again and again.
    if (bytes < 0 && errno == EAGAIN) return (kept.events & POLLIN) == 0;
    if (bytes <= 0) return true;
    kept.silent_since = now;
    kept.discarded_bytes += bytes;
    if (kept.discarded_bytes > limits_.discarded_bytes_max) return true;
  }
}

}  // namespace qkserve

// Shared libraries of the process, here gRPC's, call this function instead of the C library's. The
// linker exports it because one of them needs a function of this name. Without the export, gRPC's
// sockets end as they would without Farewells. Unlike the C library's function, this one must not
// be called by a signal handler, because it takes a mutex.
extern "C" [[gnu::visibility("default"), gnu::used]] int shutdown(int socket, int how) noexcept {
  if (how == SHUT_RDWR) {
    qkserve::Farewells* const farewells = qkserve::of_process;
    if (farewells != nullptr && farewells->Keep(socket)) return 0;
  }
  return qkserve::SystemShutdown(socket, how);
}
