#include "bench/remote.h"

#include <grpcpp/grpcpp.h>
#include <time.h>

#include <chrono>

#include "qkserve/client.h"

namespace qkserve::bench {
namespace {

constexpr std::chrono::seconds kCallTimeout(60);

absl::Duration CpuTimeOf(clockid_t clock) {
  timespec spent = {};
  return clock_gettime(clock, &spent) == 0 ? absl::DurationFromTimespec(spent)
                                           : absl::ZeroDuration();
}

}  // namespace

Remote::Remote(const std::string& address, pid_t pid, int channels) : pid_(pid) {
  for (int i = 0; i < channels; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetMaxSendMessageSize(-1);
    // Without this setting, channels to one address share one connection.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    // A proxy is not used, because the peers are on this machine.
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    const std::shared_ptr<grpc::Channel> channel =
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
    stubs_.push_back(v1::ScoringService::NewStub(channel));
  }
}

absl::Status Remote::Score(const v1::ScoreRequest& request, v1::ScoreResponse* response) const {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
  return FromGrpcStatus(stubs_.front()->Score(&context, request, response));
}

v1::ScoringService::Stub& Remote::StubOf(int caller) const {
  return *stubs_[static_cast<size_t>(caller) % stubs_.size()];
}

absl::Duration Remote::CpuTime() const {
  clockid_t clock;
  return clock_getcpuclockid(pid_, &clock) == 0 ? CpuTimeOf(clock) : absl::ZeroDuration();
}

absl::Duration OwnCpuTime() { return CpuTimeOf(CLOCK_PROCESS_CPUTIME_ID); }

}  // namespace qkserve::bench
