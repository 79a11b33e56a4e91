#ifndef QKSERVE_BASE_THREAD_LIMIT_H_
#define QKSERVE_BASE_THREAD_LIMIT_H_

#include <cstdint>
#include <functional>
#include <thread>

#include "absl/status/status.h"

namespace qkserve {

// Limits on threads come from a container's pids limit, a service's TasksMax or ulimit -u. A
// library that reaches such a limit may abort the process, as gRPC does. Therefore a program first
// checks that the limits suffice.

// Returns the number of threads that gRPC starts in a server or client on this machine. Under load
// more threads come and go; gRPC works without them.
int64_t GrpcThreads();

// Starts a thread. Throws std::system_error if the system gives none.
using StartThread = std::function<std::thread(std::function<void()> body)>;

// Starts `count` threads that do nothing, and ends them again. RESOURCE_EXHAUSTED: the system gave
// fewer threads. The message says how many. `start` is for tests.
absl::Status CheckThreads(
    int64_t count,
    const StartThread& start = [](const std::function<void()>& body) { return std::thread(body); });

}  // namespace qkserve

#endif  // QKSERVE_BASE_THREAD_LIMIT_H_
