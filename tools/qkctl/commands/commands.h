#ifndef QKSERVE_TOOLS_QKCTL_COMMANDS_COMMANDS_H_
#define QKSERVE_TOOLS_QKCTL_COMMANDS_COMMANDS_H_

#include "tools/qkctl/command.h"

namespace qkserve {

// Scores of the queries in one file against the keys in another.
Command ScoreCommand();

// Tensors from files into a key set.
Command KeysPutCommand();
Command KeysAppendCommand();

// The key sets of a server.
Command KeysGetCommand();
Command KeysListCommand();
Command KeysDeleteCommand();

// The state of a server: its version, kernels, load and memory.
Command StatusCommand();

// Keeps a server busy and reports its throughput and latencies.
Command LoadCommand();

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMMANDS_COMMANDS_H_
