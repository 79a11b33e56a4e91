#ifndef QKSERVE_CLIENT_QKCTL_COMMAND_KEYS_UPLOAD_H_
#define QKSERVE_CLIENT_QKCTL_COMMAND_KEYS_UPLOAD_H_

#include "client/qkctl/command.h"

namespace qkserve {

// qkctl keys put and append: tensors from files into a key set.
Command KeysPutCommand();
Command KeysAppendCommand();

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_QKCTL_COMMAND_KEYS_UPLOAD_H_
