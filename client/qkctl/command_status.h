#ifndef QKSERVE_CLIENT_QKCTL_COMMAND_STATUS_H_
#define QKSERVE_CLIENT_QKCTL_COMMAND_STATUS_H_

#include <nlohmann/json.hpp>
#include <string>

#include "client/qkctl/command.h"
#include "qkserve/v1/status.pb.h"

namespace qkserve {

// qkctl status: what a server is and how busy it is.
Command StatusCommand();

// Aligned lines for people.
std::string StatusText(const v1::GetStatusResponse& status);

// The fields of the message by their names, and batch_requests_mean (null before the first batch).
nlohmann::ordered_json StatusJson(const v1::GetStatusResponse& status);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_QKCTL_COMMAND_STATUS_H_
