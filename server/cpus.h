#ifndef QKSERVE_SERVER_CPUS_H_
#define QKSERVE_SERVER_CPUS_H_

#include <cstdint>
#include <string>

namespace qkserve {

// CPUs that this process may really use: its affinity, and the CPU quota of its cgroup (versions 1
// and 2) rounded down, but at least 1. A pool larger than the quota would be throttled in the
// middle of its work.
//
// `root` is put before /proc and /sys; tests use it.
int64_t UsableCpus(const std::string& root = "");

}  // namespace qkserve

#endif  // QKSERVE_SERVER_CPUS_H_
