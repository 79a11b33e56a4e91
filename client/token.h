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

// The token that a client sends. Not for users of the library.

namespace qkserve {

// A token in a file that may be replaced at any time. Thread-safe.
class TokenFile {
 public:
  // Reads the file. Errors are those of Client::Create.
  static absl::StatusOr<std::unique_ptr<TokenFile>> Open(const std::string& path,
                                                         const Clock* clock = Clock::Monotonic());

  // The newest token. The file is read again if the last time is a second ago. A file that cannot
  // be read, or holds no token, leaves the token that was there before.
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

// Interceptors that add the metadata `authorization` to each call of a channel. Empty if the
// options have no token. Not gRPC's call credentials: those work over TLS alone, and a server on
// loopback or on a unix socket needs none.
//
// INVALID_ARGUMENT: the file holds no token, or the token would be sent in plain text to another
// machine. Errors of the file: those of Client::Create.
absl::StatusOr<InterceptorFactories> TokenInterceptors(const ClientOptions& options);

// True if the address, as ClientOptions::address has it, can only be this machine: localhost, an
// address of loopback, or a unix socket.
bool IsLocal(const std::string& address);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_TOKEN_H_
