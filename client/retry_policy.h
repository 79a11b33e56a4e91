#ifndef QKSERVE_CLIENT_RETRY_POLICY_H_
#define QKSERVE_CLIENT_RETRY_POLICY_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/channel_arguments.h"
#include "grpcpp/support/status.h"

// Which attempts of a call are made again, and when. Pure functions; not for users of the library.
// docs/clients.md states the policy.

namespace qkserve {

// The most attempts of a call. gRPC makes no more, either.
inline constexpr int kAttemptsMaxMax = 5;

// INVALID_ARGUMENT: `attempts_max` is not from 1 to kAttemptsMaxMax.
absl::Status CheckAttempts(int attempts_max);

// The effect of a call that is sent twice.
enum class Repeat : int {
  kReads,    // changes nothing
  kChecked,  // changes something only if it is still at the version that the call expects
  kChanges,  // may make its change twice
};

// How an attempt ended that failed.
struct FailedAttempt {
  absl::StatusCode code = absl::StatusCode::kUnknown;

  // The metadata grpc-retry-pushback-ms: when to come again. Negative: never. A server that names a
  // time has done nothing for the call.
  std::optional<absl::Duration> push_back = std::nullopt;

  // False: no connection was there, so no server can have seen the attempt.
  bool may_have_been_sent = true;
};

// Reads the end of an attempt. `context` is that of the attempt, which is over.
FailedAttempt FailedAttemptOf(const grpc::Status& status, const grpc::ClientContext& context);

// True if a call may be sent again after `attempt`.
bool MayRepeat(Repeat repeat, const FailedAttempt& attempt);

// The pause before the next attempt. `attempts` have failed, at least one; `attempt` is the last of
// them. `random` is from [0, 1).
absl::Duration RetryPause(int attempts, const FailedAttempt& attempt, double random);

// A service config, in JSON, that lets gRPC itself retry calls which change nothing.
// docs/clients.md shows the one of the default attempts.
std::string RetryServiceConfig(int attempts_max);

// Lets a channel retry by itself, if `attempts_max` is more than 1.
void SetRetries(int attempts_max, grpc::ChannelArguments& arguments);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_RETRY_POLICY_H_
