#include "client/tls.h"

#include <string>
#include <utility>

#include "base/invalid_argument.h"
#include "base/pem.h"
#include "base/status_macros.h"
#include "base/visible_ascii.h"

namespace qkserve {
namespace {

// Adds the client's own certificate and key.
absl::Status AddIdentity(const TlsOptions& options, grpc::SslCredentialsOptions* out) {
  ASSIGN_OR_RETURN(PemFile chain, ReadPemFile("tls.cert_file ", options.cert_file));
  ASSIGN_OR_RETURN(PemFile key, ReadPemFile("tls.key_file ", options.key_file));
  RETURN_IF_ERROR(CheckIdentity(chain, key).status());
  out->pem_cert_chain = std::move(chain.text);
  out->pem_private_key = std::move(key.text);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeTlsCredentials(
    const TlsOptions& options) {
  if (options.cert_file.empty() != options.key_file.empty()) {
    return InvalidArgument(options.key_file.empty() ? "tls.cert_file requires tls.key_file"
                                                    : "tls.key_file requires tls.cert_file");
  }
  if (!IsVisibleAscii(options.server_name)) {
    return InvalidArgument("tls.server_name must be a host's name");
  }
  grpc::SslCredentialsOptions credentials;
  if (!options.ca_file.empty()) {
    ASSIGN_OR_RETURN(PemFile roots, ReadPemFile("tls.ca_file ", options.ca_file));
    RETURN_IF_ERROR(CheckCertificates(roots).status());
    credentials.pem_root_certs = std::move(roots.text);
  }
  if (!options.cert_file.empty()) RETURN_IF_ERROR(AddIdentity(options, &credentials));
  return grpc::SslCredentials(credentials);
}

}  // namespace qkserve
