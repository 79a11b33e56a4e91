#ifndef QKSERVE_TOOLS_QKCTL_COMMANDS_STATUS_H_
#define QKSERVE_TOOLS_QKCTL_COMMANDS_STATUS_H_

#include <nlohmann/json.hpp>
#include <string>

#include "qkserve/v1/status.pb.h"
#include "tools/qkctl/command.h"

namespace qkserve {

// qkctl status: what a server is and how busy it is.
Command StatusCommand();

// Aligned lines for people.
std::string StatusText(const v1::GetStatusResponse& status);

// The fields of the message by their names, and batch_requests_mean (null before the first batch).
nlohmann::ordered_json StatusJson(const v1::GetStatusResponse& status);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMMANDS_STATUS_H_
