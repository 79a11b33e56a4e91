#include <string>

#include "client/tls.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_file.h"
#include "tests/support/test_authority.h"

namespace qkserve {

// An input has three pieces: the files of an authority, a certificate and its key.
void FuzzPem(absl::string_view input) {
  static const ScratchFile authority("ca.pem");
  static const ScratchFile certificate("cert.pem");
  static const ScratchFile key("key.pem");
  FuzzInput in(input);
  authority.Write(in.Piece());
  certificate.Write(in.Piece());
  key.Write(in.Piece());
  (void)MakeTlsCredentials({.ca_file = authority.path()});
  (void)MakeTlsCredentials({.cert_file = certificate.path(), .key_file = key.path()});
}

FuzzSeeds PemSeeds() {
  const TestAuthority authority;
  const Identity identity = authority.Issue("DNS:qkserve.test");
  const Identity other = authority.Issue("IP:127.0.0.1");
  const std::string ca = AsPiece(authority.certificate());
  return {{"pair", ca + AsPiece(identity.certificate) + AsPiece(identity.key)},
          {"chain",
           ca + AsPiece(identity.certificate + authority.certificate()) + AsPiece(identity.key)},
          {"wrong-key", ca + AsPiece(identity.certificate) + AsPiece(other.key)}};
}

}  // namespace qkserve
