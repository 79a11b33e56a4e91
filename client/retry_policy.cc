#include "client/retry_policy.h"

#include "absl/strings/str_cat.h"
#include "qkserve/limits.h"

namespace qkserve {
namespace {

// Requests up to this size can be sent again. gRPC keeps a request's bytes, without a copy, until
// its answer begins; its own limit is 256 KiB. Uploads are never sent again, but gRPC keeps this
// much of their beginning, too.
constexpr int kRetryBufferBytes = 16 * kMiB;

}  // namespace

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
