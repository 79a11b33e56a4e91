#ifndef QKSERVE_CLIENT_QKCTL_COMMAND_LOAD_H_
#define QKSERVE_CLIENT_QKCTL_COMMAND_LOAD_H_

#include "client/qkctl/command.h"

namespace qkserve {

// qkctl load: keeps a server busy and reports its throughput and latencies.
Command LoadCommand();

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_QKCTL_COMMAND_LOAD_H_
