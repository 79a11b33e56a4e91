#ifndef QKSERVE_CLIENT_QKCTL_COMMAND_SCORE_H_
#define QKSERVE_CLIENT_QKCTL_COMMAND_SCORE_H_

#include <string>

#include "client/client.h"
#include "client/qkctl/command.h"

namespace qkserve {

// qkctl score: scores of the queries in one file against the keys in another.
Command ScoreCommand();

// One line about how a request was answered.
std::string ReceiptText(const Receipt& receipt);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_QKCTL_COMMAND_SCORE_H_
