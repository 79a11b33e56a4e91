#ifndef QKSERVE_CLIENT_RETRY_POLICY_H_
#define QKSERVE_CLIENT_RETRY_POLICY_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/channel_arguments.h"
#include "grpcpp/support/status.h"

// Pure functions that decide which calls are sent again, and when. docs/clients.md states the
// policy. This header is not for users of the library.

namespace qkserve {

// The largest `attempts_max`. gRPC allows no more attempts, either.
inline constexpr int kAttemptsMaxMax = 5;

// Returns INVALID_ARGUMENT if `attempts_max` is not from 1 to kAttemptsMaxMax.
absl::Status CheckAttempts(int attempts_max);

// The effect of a call that is sent twice.
enum class Repeat : int {
  kReads,    // changes nothing
  kChecked,  // changes something only if it is still at the version that the call expects
  kChanges,  // may make its change twice
};

// How a failed attempt ended.
struct FailedAttempt {
  absl::StatusCode code = absl::StatusCode::kUnknown;

  // The metadata grpc-retry-pushback-ms, the time after which the call may come again. If negative,
  // the call must not come again. A server that names a time has done nothing for the call.
  std::optional<absl::Duration> push_back = std::nullopt;

  // False if there was no connection, because then no server can have seen the attempt.
  bool may_have_been_sent = true;
};

// Reads how an attempt ended. `context` is the context of this attempt, which must be over.
FailedAttempt FailedAttemptOf(const grpc::Status& status, const grpc::ClientContext& context);

// True if a call may be sent again after `attempt`.
bool MayRepeat(Repeat repeat, const FailedAttempt& attempt);

// Returns the pause before the next attempt. `attempts` is how many attempts have failed, at least
// one. `attempt` is the last of them. `random` is from [0, 1).
absl::Duration RetryPause(int attempts, const FailedAttempt& attempt, double random);

// Returns a service config, in JSON, that lets gRPC itself retry calls that change nothing.
// docs/clients.md shows the config for the default number of attempts.
std::string RetryServiceConfig(int attempts_max);

// Lets a channel retry by itself, if `attempts_max` is more than 1.
void SetRetries(int attempts_max, grpc::ChannelArguments& arguments);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_RETRY_POLICY_H_
