#ifndef QKSERVE_TOOLS_QKCTL_COMMANDS_KEYS_H_
#define QKSERVE_TOOLS_QKCTL_COMMANDS_KEYS_H_

#include "tools/qkctl/command.h"

namespace qkserve {

// qkctl keys get, list and delete: the key sets of a server.
Command KeysGetCommand();
Command KeysListCommand();
Command KeysDeleteCommand();

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMMANDS_KEYS_H_
