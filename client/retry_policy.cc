#include "client/retry_policy.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/invalid_argument.h"
#include "qkserve/limits.h"

namespace qkserve {
namespace {

// gRPC can send requests up to this size again. It keeps a request's bytes, without a copy, until
// the answer begins. gRPC's default limit is 256 KiB. gRPC never sends uploads again, but it keeps
// this many of their first bytes, too.
constexpr int kRetryBufferBytes = 16 * kMiB;

// The first pause is longer than a round trip, and too short for a person to notice. Pauses double
// up to the longest one.
constexpr absl::Duration kPauseMin = absl::Milliseconds(100);
constexpr absl::Duration kPauseMax = absl::Seconds(1);

// Reads a time in ms. A negative time means "never". Like gRPC, returns a negative time if the text
// is no number.
absl::Duration ReadPushBack(absl::string_view text) {
  int64_t ms = -1;
  return absl::Milliseconds(absl::SimpleAtoi(text, &ms) ? ms : -1);
}

// True if `peer` is gRPC's name for the other end of a connection. For a call without a connection,
// `peer` is the target. A target may begin like these names; then the result is true, although
// there may be no connection.
bool IsConnection(absl::string_view peer) {
  constexpr absl::string_view kSchemes[] = {"ipv4:", "ipv6:", "unix:", "unix-abstract:", "vsock:"};
  return std::any_of(std::begin(kSchemes), std::end(kSchemes),
                     [peer](absl::string_view scheme) { return absl::StartsWith(peer, scheme); });
}

}  // namespace

absl::Status CheckAttempts(int attempts_max) {
  if (attempts_max >= 1 && attempts_max <= kAttemptsMaxMax) return absl::OkStatus();
  return InvalidArgument("attempts_max must be from 1 to ", kAttemptsMaxMax, "; was ",
                         attempts_max);
}

FailedAttempt FailedAttemptOf(const grpc::Status& status, const grpc::ClientContext& context) {
  FailedAttempt attempt;
  attempt.code = static_cast<absl::StatusCode>(status.error_code());
  const auto& trailers = context.GetServerTrailingMetadata();
  const auto push_back = trailers.find("grpc-retry-pushback-ms");
  if (push_back != trailers.end()) {
    attempt.push_back = ReadPushBack({push_back->second.data(), push_back->second.size()});
  }
  const std::string peer = context.peer();
  attempt.may_have_been_sent = peer.empty() || IsConnection(peer);
  return attempt;
}

bool MayRepeat(Repeat repeat, const FailedAttempt& attempt) {
  const bool is_refused = attempt.push_back >= absl::ZeroDuration();
  if (attempt.push_back.has_value() && !is_refused) return false;
  const bool did_nothing = is_refused || !attempt.may_have_been_sent;
  switch (attempt.code) {
    // gRPC reports this code ("Stream removed") for a call that a proxy has reset because its
    // server is gone. qkserve itself never answers with this code.
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kUnavailable:
      return did_nothing || repeat != Repeat::kChanges;
    case absl::StatusCode::kResourceExhausted:
      // If the server named no time, a limit on the size of a message or of metadata refused the
      // call. The same limit would refuse the next attempt, too.
      return is_refused;
    default:
      return false;
  }
}

absl::Duration RetryPause(int attempts, const FailedAttempt& attempt, double random) {
  if (attempt.push_back.has_value()) return *attempt.push_back;
  const absl::Duration longest = std::min(kPauseMin * (1 << std::min(attempts - 1, 10)), kPauseMax);
  // Half of the pause is random, so that calls that failed together are not sent again together.
  return longest * (0.5 + random / 2);
}

std::string RetryServiceConfig(int attempts_max) {
  return absl::StrCat(R"({
  "loadBalancingConfig": [{"round_robin": {}}],
  "methodConfig": [{
    "name": [
      {"service": "qkserve.v1.ScoringService"},
      {"service": "qkserve.v1.StatusService"},
      {"service": "qkserve.v1.KeySetService", "method": "GetKeySet"},
      {"service": "qkserve.v1.KeySetService", "method": "ListKeySets"}
    ],
    "retryPolicy": {
      "maxAttempts": )",
                      attempts_max, R"(,
      "initialBackoff": "0.1s",
      "maxBackoff": "1s",
      "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
    }
  }],
  "retryThrottling": {"maxTokens": 1000, "tokenRatio": 0.1}
}
)");
}

void SetRetries(int attempts_max, grpc::ChannelArguments& arguments) {
  if (attempts_max <= 1) return;
  arguments.SetServiceConfigJSON(RetryServiceConfig(attempts_max));
  arguments.SetInt(GRPC_ARG_PER_RPC_RETRY_BUFFER_SIZE, kRetryBufferBytes);
}

}  // namespace qkserve
