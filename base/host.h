#ifndef QKSERVE_BASE_HOST_H_
#define QKSERVE_BASE_HOST_H_

#include <cstdint>
#include <string>

namespace qkserve {

// Returns how many CPUs this process may really use, at least 1. The affinity mask and the CPU
// quota of the cgroup (version 1 or 2), rounded down, both limit this number. A pool of more
// threads would be throttled in the middle of its work.
//
// `root` is put before /proc and /sys, for tests.
int64_t UsableCpus(const std::string& root = "");

// Returns the model of the CPU, for example "Intel(R) Xeon(R) Gold 6230", or "" if the system does
// not say.
std::string CpuName();

// Returns the bytes of memory that this process may use: the lesser of the machine's memory and the
// lowest limit among the process's cgroup and the cgroups above it.
int64_t UsableMemoryBytes(const std::string& root = "");

// Returns how many files this process may have open at a time.
int64_t OpenFilesMax();

}  // namespace qkserve

#endif  // QKSERVE_BASE_HOST_H_
