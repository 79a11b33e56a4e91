#ifndef QKSERVE_BASE_HOST_PORT_H_
#define QKSERVE_BASE_HOST_PORT_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace qkserve {

inline constexpr int kPortMax = 65535;

struct HostPort {
  std::string host;  // a name, or an address; IPv6 has no brackets here
  int port = 0;
};

// Splits HOST:PORT, or HOST if there is a `default_port`. An IPv6 address must be in brackets,
// because otherwise its end is unclear. The port has only digits and is from 0 to kPortMax. Returns
// nullopt if the text has another form.
//
// This check is needed, because gRPC replaces a missing port by 443 and takes any port number
// modulo 65536.
std::optional<HostPort> ReadHostPort(absl::string_view text,
                                     std::optional<int> default_port = std::nullopt);

}  // namespace qkserve

#endif  // QKSERVE_BASE_HOST_PORT_H_
