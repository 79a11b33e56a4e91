#ifndef QKSERVE_BASE_THREAD_LIMIT_H_
#define QKSERVE_BASE_THREAD_LIMIT_H_

#include <cstdint>
#include <functional>
#include <thread>

#include "absl/status/status.h"

namespace qkserve {

// Limits on threads: a container's pids limit, a service's TasksMax, ulimit -u. A library that
// reaches such a limit may abort the process, as gRPC does. So ask before it does.

// How many threads gRPC starts in a process that is a server, or a client, on this machine. More
// come and go under load; gRPC works without those.
int64_t GrpcThreads();

// Starts a thread. Throws std::system_error if the system gives none.
using StartThread = std::function<std::thread(std::function<void()> body)>;

// Starts `count` threads that do nothing, and ends them again. RESOURCE_EXHAUSTED: the system gave
// fewer; the message says how many. `start` is for tests.
absl::Status CheckThreads(
    int64_t count,
    const StartThread& start = [](const std::function<void()>& body) { return std::thread(body); });

}  // namespace qkserve

#endif  // QKSERVE_BASE_THREAD_LIMIT_H_
