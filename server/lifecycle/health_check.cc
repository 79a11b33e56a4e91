#include "server/lifecycle/health_check.h"

#include <chrono>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/pem.h"
#include "base/status_macros.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/impl/client_unary_call.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_certificate_verifier.h"
#include "grpcpp/security/tls_credentials_options.h"
#include "grpcpp/support/channel_arguments.h"

namespace qkserve {
namespace {

// The bytes of a grpc.health.v1 reply with the status SERVING: field 1 is the status, and 1 stands
// for SERVING. The request is empty, because it asks for the whole server and names no service.
constexpr char kServing[] = {0x08, 0x01};

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(const CheckTls& tls) {
  RETURN_IF_ERROR(tls.Validate());
  PemFile roots;
  if (!tls.ca_file.empty()) {
    ASSIGN_OR_RETURN(roots, ReadPemFile("check_ca_file: ", tls.ca_file));
    RETURN_IF_ERROR(CheckCertificates(roots).status());
  }
  std::vector<grpc::experimental::IdentityKeyCertPair> identity;
  if (!tls.cert_file.empty()) {
    ASSIGN_OR_RETURN(PemFile chain, ReadPemFile("check_cert_file: ", tls.cert_file));
    ASSIGN_OR_RETURN(PemFile key, ReadPemFile("check_key_file: ", tls.key_file));
    RETURN_IF_ERROR(CheckIdentity(chain, key).status());
    identity.push_back({std::move(key.text), std::move(chain.text)});
  }
  grpc::experimental::TlsChannelCredentialsOptions options;
  if (!tls.ca_file.empty() || !identity.empty()) {
    options.set_certificate_provider(
        std::make_shared<grpc::experimental::StaticDataCertificateProvider>(roots.text, identity));
  }
  if (!identity.empty()) options.watch_identity_key_cert_pairs();
  if (!tls.ca_file.empty()) {
    options.watch_root_certs();
  } else {
    options.set_verify_server_certs(false);
    options.set_check_call_host(false);
    options.set_certificate_verifier(
        std::make_shared<grpc::experimental::NoOpCertificateVerifier>());
  }
  return grpc::experimental::TlsCredentials(options);
}

}  // namespace

absl::Status CheckTls::Validate() const {
  if (cert_file.empty() == key_file.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(key_file.empty() ? "check_cert_file needs a check_key_file"
                                                     : "check_key_file needs a check_cert_file");
}

absl::Status CheckHealth(const std::string& address, const std::optional<CheckTls>& tls,
                         absl::Duration timeout) {
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (tls.has_value()) {
    ASSIGN_OR_RETURN(credentials, MakeCredentials(*tls));
  }
  // No proxy is used, because Docker puts the variables of a proxy into containers, and such a
  // proxy cannot reach the container's own address.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  if (tls.has_value() && !tls->server_name.empty()) {
    arguments.SetSslTargetNameOverride(tls->server_name);
  }
  const auto channel = grpc::CreateCustomChannel(address, credentials, arguments);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(timeout));
  const grpc::Slice empty;
  grpc::ByteBuffer response;
  const grpc::Status status = grpc::internal::BlockingUnaryCall(
      channel.get(),
      grpc::internal::RpcMethod("/grpc.health.v1.Health/Check",
                                grpc::internal::RpcMethod::NORMAL_RPC),
      &context, grpc::ByteBuffer(&empty, 1), &response);
  if (!status.ok()) {
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  }
  grpc::Slice bytes;
  if (!response.DumpToSingleSlice(&bytes).ok() || bytes.size() != sizeof(kServing) ||
      std::memcmp(bytes.begin(), kServing, sizeof(kServing)) != 0) {
    return absl::UnavailableError(absl::StrCat(address, " is not serving"));
  }
  return absl::OkStatus();
}

}  // namespace qkserve
