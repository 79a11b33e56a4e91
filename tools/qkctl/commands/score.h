#ifndef QKSERVE_TOOLS_QKCTL_COMMANDS_SCORE_H_
#define QKSERVE_TOOLS_QKCTL_COMMANDS_SCORE_H_

#include <string>

#include "qkserve/client.h"
#include "tools/qkctl/command.h"

namespace qkserve {

// qkctl score: scores of the queries in one file against the keys in another.
Command ScoreCommand();

// One line about how a request was answered.
std::string ReceiptText(const Receipt& receipt);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMMANDS_SCORE_H_
