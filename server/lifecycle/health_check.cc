#include "server/lifecycle/health_check.h"

#include <chrono>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/impl/client_unary_call.h"
#include "grpcpp/support/channel_arguments.h"

namespace qkserve {
namespace {

// The reply of grpc.health.v1 as it is on the wire: field 1 is the status, and its value 1 is
// SERVING. The request asks for the whole server (no service name) and is empty.
constexpr char kServing[] = {0x08, 0x01};

}  // namespace

absl::Status CheckHealth(const std::string& address, absl::Duration timeout) {
  // No proxy is used. Docker puts the variables of a proxy into containers, and such a proxy cannot
  // reach the container's own address.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  const auto channel =
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(timeout));
  const grpc::Slice empty;
  grpc::ByteBuffer response;
  const grpc::Status status = grpc::internal::BlockingUnaryCall(
      channel.get(),
      grpc::internal::RpcMethod("/grpc.health.v1.Health/Check",
                                grpc::internal::RpcMethod::NORMAL_RPC),
      &context, grpc::ByteBuffer(&empty, 1), &response);
  if (!status.ok()) {
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  }
  grpc::Slice bytes;
  if (!response.DumpToSingleSlice(&bytes).ok() || bytes.size() != sizeof(kServing) ||
      std::memcmp(bytes.begin(), kServing, sizeof(kServing)) != 0) {
    return absl::UnavailableError(absl::StrCat(address, " is not serving"));
  }
  return absl::OkStatus();
}

}  // namespace qkserve
