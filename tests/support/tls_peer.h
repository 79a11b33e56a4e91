#ifndef QKSERVE_TESTS_SUPPORT_TLS_PEER_H_
#define QKSERVE_TESTS_SUPPORT_TLS_PEER_H_

#include <string>

namespace qkserve {

struct TlsHandshake {
  bool is_done = false;
  std::string certificate;  // the server's own, PEM
  std::string answer;       // all that the server said until it closed, if `request` was sent
};

// Connects to an IP address with a port and shakes hands, offering HTTP/2 and HTTP/1.1. No
// certificate is shown, and the server's is not verified. `version` is OpenSSL's number of the only
// version that is offered, for example TLS1_1_VERSION; 0: all. Versions and ciphers that OpenSSL
// takes for unsafe are offered, too, so that a refusal is the server's.
TlsHandshake ShakeHands(const std::string& address, int version = 0,
                        const std::string& request = "");

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_TLS_PEER_H_
