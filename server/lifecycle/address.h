#ifndef QKSERVE_SERVER_LIFECYCLE_ADDRESS_H_
#define QKSERVE_SERVER_LIFECYCLE_ADDRESS_H_

#include <string>

#include "absl/status/statusor.h"

namespace qkserve {

struct HostPort {
  std::string host;  // a name, or an address, of IPv6 without its brackets
  int port = 0;
};

// HOST:PORT as flags have it, an IPv6 address in brackets. INVALID_ARGUMENT names the flag, what it
// was and what is possible; `others` says what else than HOST:PORT is.
absl::StatusOr<HostPort> ParseHostPort(const char* flag, const std::string& address,
                                       const char* others);

// HOST:PORT with this port in place of its own.
std::string WithPort(const std::string& address, int port);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_ADDRESS_H_
