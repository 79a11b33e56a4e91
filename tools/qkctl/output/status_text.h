#ifndef QKSERVE_TOOLS_QKCTL_OUTPUT_STATUS_TEXT_H_
#define QKSERVE_TOOLS_QKCTL_OUTPUT_STATUS_TEXT_H_

#include <nlohmann/json.hpp>
#include <string>

#include "qkserve/v1/status.pb.h"

namespace qkserve {

// Returns what a server is and how busy it is, for people, in aligned lines.
std::string StatusText(const v1::GetStatusResponse& status);

// Returns the fields of the message by their names, and batch_requests_mean. This is
// requests_answered / batches, or null before the first batch.
nlohmann::ordered_json StatusJson(const v1::GetStatusResponse& status);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_OUTPUT_STATUS_TEXT_H_
