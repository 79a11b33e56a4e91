#ifndef QKSERVE_CLIENT_TOKEN_H_
#define QKSERVE_CLIENT_TOKEN_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "grpcpp/support/client_interceptor.h"
#include "qkserve/client.h"

// The token that a client sends. This header is not for users of the library.

namespace qkserve {

// A token in a file that may be replaced at any time. Thread-safe.
class TokenFile {
 public:
  // Reads the file. Errors are those of Client::Create.
  static absl::StatusOr<std::unique_ptr<TokenFile>> Open(const std::string& path,
                                                         const Clock* clock = Clock::Monotonic());

  // Returns the newest token. Reads the file again if the last read is at least a second ago. If
  // the file cannot be read or holds no token, the previous token stays.
  std::string Token();

 private:
  TokenFile(std::string path, std::string token, const Clock* clock)
      : path_(std::move(path)), clock_(*clock), token_(std::move(token)), read_(clock->Now()) {}

  const std::string path_;
  const Clock& clock_;
  Mutex mutex_;
  std::string token_ ABSL_GUARDED_BY(mutex_);
  absl::Time read_ ABSL_GUARDED_BY(mutex_);
};

using InterceptorFactories =
    std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>>;

// Returns interceptors that add the metadata `authorization` to each call of a channel. Returns
// none if the options have no token file. gRPC's call credentials are not used, because they work
// only over TLS, and a server on loopback or on a unix socket needs no TLS.
//
// INVALID_ARGUMENT: the file holds no token, or the token would be sent in plain text to another
// machine. Errors of the file are those of Client::Create.
absl::StatusOr<InterceptorFactories> TokenInterceptors(const ClientOptions& options);

// True if the address, in the form of ClientOptions::address, can only be this machine: localhost,
// an address of loopback, or a unix socket.
bool IsLocal(const std::string& address);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_TOKEN_H_
