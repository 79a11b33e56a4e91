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

// Requests up to this size can be sent again by gRPC. It keeps a request's bytes, without a copy,
// until its answer begins; its own limit is 256 KiB. Uploads are never sent again, but gRPC keeps
// this much of their beginning, too.
constexpr int kRetryBufferBytes = 16 * kMiB;

// Longer than a round trip, shorter than a person notices. Pauses double up to the largest.
constexpr absl::Duration kPauseMin = absl::Milliseconds(100);
constexpr absl::Duration kPauseMax = absl::Seconds(1);

// gRPC takes a value that is no number for "never".
absl::Duration ReadPushBack(absl::string_view text) {
  int64_t ms = -1;
  return absl::Milliseconds(absl::SimpleAtoi(text, &ms) ? ms : -1);
}

// gRPC's name for the other end of a connection. A call without a connection has its target in
// place of one. Such a target may begin like these, too; then nothing is known.
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
    // gRPC's words for a call that a proxy has reset because its server went ("Stream removed").
    // qkserve itself never answers so.
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kUnavailable:
      return did_nothing || repeat != Repeat::kChanges;
    case absl::StatusCode::kResourceExhausted:
      // Without a time it is a limit that the next attempt would meet, too: of a message's size, or
      // of metadata.
      return is_refused;
    default:
      return false;
  }
}

absl::Duration RetryPause(int attempts, const FailedAttempt& attempt, double random) {
  if (attempt.push_back.has_value()) return *attempt.push_back;
  const absl::Duration longest = std::min(kPauseMin * (1 << std::min(attempts - 1, 10)), kPauseMax);
  // Half of it is random, so that calls which failed together do not come again together.
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
