#ifndef QKSERVE_SERVER_TLS_TLS_FILES_H_
#define QKSERVE_SERVER_TLS_TLS_FILES_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "grpcpp/security/server_credentials.h"
#include "server/lifecycle/file_reloader.h"
#include "server/tls/memory_file.h"
#include "server/tls/tls_identity.h"

namespace qkserve {

// The TLS files in use, for gRPC and for HTTP. A reloader replaces them while the server runs.
// Files are used only after a check (see CheckTlsIdentity), and all files change together.
// Connections keep the certificate that they began with.
//
// gRPC reads its certificates from paths only, and does not check them. Therefore it gets copies in
// memory, and looks at them once a second (docs/decisions/0017-tls.md).
//
// Thread-safe.
class TlsFiles {
 public:
  // Reads the files, and has `reloader` watch them. `paths` names a certificate and a key. Errors
  // are those of FileReloader::Add and MemoryFile::Create. The TlsFiles must outlive the reloader.
  static absl::StatusOr<std::unique_ptr<TlsFiles>> Watch(TlsPaths paths, FileReloader* reloader);

  // The identity in use. Never null.
  std::shared_ptr<const TlsIdentity> identity() const {
    MutexLock lock(&mutex_);
    return identity_;
  }

  // Makes credentials for a port of gRPC: TLS 1.2 and up. If client_ca is set, every client must
  // show a certificate of one of its authorities. This object must outlive the gRPC server.
  std::shared_ptr<grpc::ServerCredentials> GrpcCredentials() const;

 private:
  TlsFiles(TlsPaths paths, MemoryFile identity_copy, MemoryFile client_ca_copy)
      : paths_(std::move(paths)),
        identity_copy_(std::move(identity_copy)),
        client_ca_copy_(std::move(client_ca_copy)) {}

  // Takes new contents of the files. The reloader calls it, never from two threads at a time.
  absl::Status Apply(const std::vector<std::string>& contents);

  const TlsPaths paths_;
  // The copies for gRPC. Key and certificates share a file, so that gRPC never sees a pair that
  // does not fit.
  MemoryFile identity_copy_;
  MemoryFile client_ca_copy_;

  mutable Mutex mutex_;
  std::shared_ptr<const TlsIdentity> identity_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_TLS_TLS_FILES_H_
