#ifndef QKSERVE_SERVER_ACCESS_ACCESS_CONTROL_H_
#define QKSERVE_SERVER_ACCESS_ACCESS_CONTROL_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "grpcpp/server_context.h"
#include "server/access/access_file.h"
#include "server/access/permissions.h"
#include "server/access/token_file.h"

namespace qkserve {

// The identity and the permissions of a caller.
struct Grant {
  std::string identity;                            // empty: the caller has none
  std::shared_ptr<const Permissions> permissions;  // null: the caller may do everything
};

// The sources of identities and permissions.
struct AccessSources {
  bool token_file = false;
  bool access_file = false;
  bool certificates = false;  // client certificates, which TLS has verified
};

// The reason why no source let a call in.
enum class UnauthenticatedReason {
  kNone,   // the call shows nothing that proves who the caller is
  kToken,  // the token is not in the file, or the metadata is no token
};
inline constexpr std::array kUnauthenticatedReasonNames = {"none", "token"};

// Tells each call's identity and permissions. The newest contents of the operator's files decide.
//
// Without sources every call gets an empty Grant at no cost. Thread-safe. Authenticate never waits
// while another thread reads a file.
class AccessControl {
 public:
  explicit AccessControl(AccessSources sources) : sources_(sources) {}

  // True if callers can have identities.
  bool has_identities() const { return sources_.token_file || sources_.certificates; }

  // Returns the identity and permissions of a call. If there is a token file, looks at the metadata
  // `authorization: Bearer TOKEN` first, then at the client certificate. UNAUTHENTICATED has two
  // cases. Either the metadata is wrong, even if there is a certificate. Or the call has no
  // identity, the server has a token file or an access file, and no line of an access file is about
  // `anyone`. UNAVAILABLE: the server has a token file or an access file that has not been set yet.
  absl::StatusOr<Grant> Authenticate(const grpc::ServerContextBase& context) const;

  // These functions replace the contents of a file. INVALID_ARGUMENT: the text is wrong, and the
  // old contents stay.
  absl::Status SetTokenFile(absl::string_view text);
  absl::Status SetAccessFile(absl::string_view text);

  // Returns how many calls were refused with UNAUTHENTICATED so far, for this reason.
  int64_t unauthenticated(UnauthenticatedReason reason) const {
    return unauthenticated_[static_cast<size_t>(reason)].load(std::memory_order_relaxed);
  }

 private:
  // The contents of the files. A member is null until its file is read, or if there is no such
  // file.
  struct Contents {
    std::shared_ptr<const TokenTable> tokens;
    std::shared_ptr<const AccessRules> rules;
  };

  Contents Current() const {
    MutexLock lock(&mutex_);
    return contents_;
  }
  // Returns the identity of the call's token. Empty: the call has no token.
  absl::StatusOr<std::string> IdentityOfToken(const grpc::ServerContextBase& context,
                                              const Contents& contents) const;
  absl::Status Unauthenticated(UnauthenticatedReason reason, absl::string_view message) const;

  const AccessSources sources_;
  mutable Mutex mutex_;  // held only to copy or exchange pointers
  Contents contents_ ABSL_GUARDED_BY(mutex_);
  mutable std::array<std::atomic<int64_t>, kUnauthenticatedReasonNames.size()> unauthenticated_ =
      {};
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ACCESS_ACCESS_CONTROL_H_
