#ifndef QKSERVE_TOOLS_QKCTL_COMMANDS_LOAD_H_
#define QKSERVE_TOOLS_QKCTL_COMMANDS_LOAD_H_

#include "tools/qkctl/command.h"

namespace qkserve {

// qkctl load: keeps a server busy and reports its throughput and latencies.
Command LoadCommand();

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMMANDS_LOAD_H_
