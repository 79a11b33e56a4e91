#ifndef QKSERVE_TOOLS_QKCTL_COMMANDS_COMMANDS_H_
#define QKSERVE_TOOLS_QKCTL_COMMANDS_COMMANDS_H_

#include <vector>

#include "tools/qkctl/command.h"

namespace qkserve {

// All commands, in the order of --help.
std::vector<Command> AllCommands();

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

// The version of this program.
Command VersionCommand();

// The script that makes a shell complete command lines.
Command CompletionCommand();

// The text of --help. This command is only listed: main takes 'help COMMAND' as 'COMMAND --help'.
Command HelpCommand();

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMMANDS_COMMANDS_H_
