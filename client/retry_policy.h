#ifndef QKSERVE_CLIENT_RETRY_POLICY_H_
#define QKSERVE_CLIENT_RETRY_POLICY_H_

#include <string>

#include "grpcpp/support/channel_arguments.h"

// Retries of the client's calls. Not for users of the library.

namespace qkserve {

// The most attempts that gRPC makes, whatever it is told.
inline constexpr int kAttemptsMaxMax = 5;

// The service config, in JSON, that lets gRPC retry calls which change nothing. docs/clients.md
// shows the one of the default attempts and says why it is as it is.
std::string RetryServiceConfig(int attempts_max);

// Lets channels retry, if `attempts_max` is more than 1.
void SetRetries(int attempts_max, grpc::ChannelArguments& arguments);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_RETRY_POLICY_H_
