#ifndef QKSERVE_TOOLS_QKCTL_COMMANDS_KEYS_UPLOAD_H_
#define QKSERVE_TOOLS_QKCTL_COMMANDS_KEYS_UPLOAD_H_

#include "tools/qkctl/command.h"

namespace qkserve {

// qkctl keys put and append: tensors from files into a key set.
Command KeysPutCommand();
Command KeysAppendCommand();

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMMANDS_KEYS_UPLOAD_H_
