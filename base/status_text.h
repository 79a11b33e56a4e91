#ifndef QKSERVE_BASE_STATUS_TEXT_H_
#define QKSERVE_BASE_STATUS_TEXT_H_

#include <string>

#include "absl/status/status.h"

namespace qkserve {

// Returns "CODE: message", for logs and people. Payloads are left out.
inline std::string StatusText(const absl::Status& status) {
  return status.ToString(absl::StatusToStringMode::kWithNoExtraData);
}

}  // namespace qkserve

#endif  // QKSERVE_BASE_STATUS_TEXT_H_
