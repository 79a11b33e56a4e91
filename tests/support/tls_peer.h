#ifndef QKSERVE_TESTS_SUPPORT_TLS_PEER_H_
#define QKSERVE_TESTS_SUPPORT_TLS_PEER_H_

#include <string>

namespace qkserve {

struct TlsHandshake {
  bool is_done = false;
  std::string certificate;  // the server's own, PEM
  std::string answer;       // all that the server sent until it closed, if `request` was sent
};

// Connects to an IP address and port, and shakes hands. Offers HTTP/2 and HTTP/1.1. Shows no
// certificate, and does not verify the server's certificate. `version` is OpenSSL's number of the
// only TLS version to offer, for example TLS1_1_VERSION; 0 offers all. Also offers versions and
// ciphers that OpenSSL takes for unsafe, so that any refusal comes from the server.
TlsHandshake ShakeHands(const std::string& address, int version = 0,
                        const std::string& request = "");

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_TLS_PEER_H_
