#ifndef QKSERVE_SERVER_LIFECYCLE_SERVICE_MANAGER_H_
#define QKSERVE_SERVER_LIFECYCLE_SERVICE_MANAGER_H_

#include <string>

namespace qkserve {

// Tells the service manager the state of this process. `state` has lines as in sd_notify(3), for
// example "READY=1\nSTATUS=listening". systemd waits for READY=1 if the unit has Type=notify. Does
// nothing if there is no service manager (NOTIFY_SOCKET is not set). Ignores errors, because the
// manager sees the process itself. Blocks for at most a second.
//
// libsystemd has the same function, but would put 3 MB of libraries into the image for one
// datagram.
void TellServiceManager(const std::string& state);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_SERVICE_MANAGER_H_
