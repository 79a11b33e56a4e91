#ifndef QKSERVE_BASE_PEER_PREFIX_H_
#define QKSERVE_BASE_PEER_PREFIX_H_

#include <string>

#include "absl/strings/string_view.h"

namespace qkserve {

// Returns the part of a peer's IP address that the peer cannot choose, as text. Limits on each peer
// tell peers apart by this part.
//
//   IPv4      the address: 192.0.2.1; also if it is mapped into IPv6 (::ffff:192.0.2.1)
//   IPv6      the first 64 bits: 2001:db8::/64. A network gives a host at least a /64 (RFC 4291,
//             2.5.1), and the host may take any address in it.
//   loopback  the address: ::1
//
// `host` is an address without port and brackets. A zone (fe80::1%eth0) is left out. Other text is
// returned unchanged.
std::string PeerPrefix(absl::string_view host);

}  // namespace qkserve

#endif  // QKSERVE_BASE_PEER_PREFIX_H_
