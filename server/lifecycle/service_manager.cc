#include "server/lifecycle/service_manager.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "absl/strings/string_view.h"
#include "base/file_descriptor.h"

namespace qkserve {

void TellServiceManager(const std::string& state) {
  const char* const variable = std::getenv("NOTIFY_SOCKET");
  const absl::string_view path = variable == nullptr ? "" : variable;
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) return;
  std::memcpy(address.sun_path, path.data(), path.size());
  // "@" stands for the 0 byte at the beginning of a socket name without a file.
  if (path.front() == '@') address.sun_path[0] = '\0';
  const FileDescriptor manager(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  constexpr timeval kWaitMax = {.tv_sec = 1, .tv_usec = 0};
  setsockopt(manager.get(), SOL_SOCKET, SO_SNDTIMEO, &kWaitMax, sizeof(kWaitMax));
  static_cast<void>(sendto(manager.get(), state.data(), state.size(), MSG_NOSIGNAL,
                           reinterpret_cast<const sockaddr*>(&address),
                           static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size())));
}

}  // namespace qkserve
