#ifndef QKSERVE_TOOLS_QKCTL_COMMANDS_COMMANDS_H_
#define QKSERVE_TOOLS_QKCTL_COMMANDS_COMMANDS_H_

#include <vector>

#include "tools/qkctl/command.h"

namespace qkserve {

// Returns all commands, in the order of --help.
std::vector<Command> AllCommands();

// Scores the queries in one file against the keys in another.
Command ScoreCommand();

// Put or append tensors from files to a key set.
Command KeysPutCommand();
Command KeysAppendCommand();

// Show, list and delete the key sets of a server.
Command KeysGetCommand();
Command KeysListCommand();
Command KeysDeleteCommand();

// Shows the state of a server: its version, kernels, load and memory.
Command StatusCommand();

// Keeps a server busy and reports its throughput and latencies.
Command LoadCommand();

// Prints the version of this program.
Command VersionCommand();

// Prints the script that makes a shell complete command lines.
Command CompletionCommand();

// Stands for --help in the list of commands. main takes 'help COMMAND' as 'COMMAND --help'.
Command HelpCommand();

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMMANDS_COMMANDS_H_
