#ifndef QKSERVE_TOOLS_LOAD_CPU_H_
#define QKSERVE_TOOLS_LOAD_CPU_H_

#include <string>

namespace qkserve {

// "Intel(R) Xeon(R) ...", "" where the system does not say.
std::string CpuName();

// The CPUs that this process may use.
int UsableCpuCount();

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_CPU_H_
