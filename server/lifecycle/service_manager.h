#ifndef QKSERVE_SERVER_LIFECYCLE_SERVICE_MANAGER_H_
#define QKSERVE_SERVER_LIFECYCLE_SERVICE_MANAGER_H_

#include <string>

namespace qkserve {

// Tells the service manager that started this process about it: lines as sd_notify(3) takes them,
// for example "READY=1\nSTATUS=listening". systemd waits for READY=1 where the unit has
// Type=notify. Does nothing if there is no such manager (NOTIFY_SOCKET is not set). An error is
// ignored: the manager sees the process itself. Waits at most a second.
//
// libsystemd has the same, but would put 3 MB of libraries into the image for one datagram.
void TellServiceManager(const std::string& state);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_SERVICE_MANAGER_H_
