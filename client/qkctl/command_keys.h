#ifndef QKSERVE_CLIENT_QKCTL_COMMAND_KEYS_H_
#define QKSERVE_CLIENT_QKCTL_COMMAND_KEYS_H_

#include "client/qkctl/command.h"

namespace qkserve {

// qkctl keys get, list and delete: the key sets of a server.
Command KeysGetCommand();
Command KeysListCommand();
Command KeysDeleteCommand();

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_QKCTL_COMMAND_KEYS_H_
