#ifndef QKSERVE_BASE_PEER_PREFIX_H_
#define QKSERVE_BASE_PEER_PREFIX_H_

#include <string>

#include "absl/strings/string_view.h"

namespace qkserve {

// The part of a peer's IP address that the peer cannot choose, as text. Limits of one peer count
// it.
//
//   IPv4      the address: 192.0.2.1; also if it is mapped into IPv6 (::ffff:192.0.2.1)
//   IPv6      the first 64 bits: 2001:db8::/64. Networks give a host so many at least (RFC 4291,
//             2.5.1), and the host may take any address of them.
//   loopback  the address: ::1
//
// `host` is an address without port and brackets. A zone (fe80::1%eth0) is left out. Other text is
// returned as it is.
std::string PeerPrefix(absl::string_view host);

}  // namespace qkserve

#endif  // QKSERVE_BASE_PEER_PREFIX_H_
