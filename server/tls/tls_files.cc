#include "server/tls/tls_files.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_credentials_options.h"

namespace qkserve {

absl::StatusOr<std::unique_ptr<TlsFiles>> TlsFiles::Watch(TlsPaths paths, FileReloader* reloader) {
  WatchedFiles watched = {.flag = "tls_cert_file",
                          .paths = {paths.cert, paths.key},
                          .apply = {},
                          .path_flags = {"tls_cert_file", "tls_key_file"}};
  if (!paths.client_ca.empty()) {
    watched.paths.push_back(paths.client_ca);
    watched.path_flags.emplace_back("tls_client_ca_file");
  }
  ASSIGN_OR_RETURN(MemoryFile identity_copy, MemoryFile::Create(""));
  ASSIGN_OR_RETURN(MemoryFile client_ca_copy, MemoryFile::Create(""));
  std::unique_ptr<TlsFiles> files(
      new TlsFiles(std::move(paths), std::move(identity_copy), std::move(client_ca_copy)));
  watched.apply = [files = files.get()](const std::vector<std::string>& contents) {
    return files->Apply(contents);
  };
  RETURN_IF_ERROR(reloader->Add(std::move(watched)));
  return files;
}

absl::Status TlsFiles::Apply(const std::vector<std::string>& contents) {
  ASSIGN_OR_RETURN(TlsIdentity identity, CheckTlsIdentity(paths_, contents, absl::Now()));
  // Both new files are made before an old one is replaced, so that a lack of memory or descriptors
  // changes neither.
  ASSIGN_OR_RETURN(MemoryFile client_ca, MemoryFile::Create(identity.client_ca));
  ASSIGN_OR_RETURN(MemoryFile pair,
                   MemoryFile::Create(absl::StrCat(identity.key, "\n", identity.chain)));
  RETURN_IF_ERROR(client_ca_copy_.Replace(std::move(client_ca)));
  RETURN_IF_ERROR(identity_copy_.Replace(std::move(pair)));
  MutexLock lock(&mutex_);
  identity_ = std::make_shared<const TlsIdentity>(std::move(identity));
  return absl::OkStatus();
}

std::shared_ptr<grpc::ServerCredentials> TlsFiles::GrpcCredentials() const {
  // The shortest interval that gRPC takes.
  constexpr unsigned kLookEverySeconds = 1;
  const bool asks_clients = !paths_.client_ca.empty();
  grpc::experimental::TlsServerCredentialsOptions options(
      std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
          identity_copy_.path(), identity_copy_.path(), asks_clients ? client_ca_copy_.path() : "",
          kLookEverySeconds));
  options.watch_identity_key_cert_pairs();
  if (asks_clients) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

}  // namespace qkserve
