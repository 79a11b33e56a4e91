#include "bench/remote.h"

#include <grpcpp/grpcpp.h>
#include <time.h>

#include <algorithm>
#include <chrono>

#include "absl/strings/string_view.h"
#include "qkserve/client.h"

namespace qkserve::bench {
namespace {

constexpr std::chrono::seconds kCallTimeout(60);
constexpr size_t kChunkBytes = 1 << 20;

absl::Duration CpuTimeOf(clockid_t clock) {
  timespec spent = {};
  return clock_gettime(clock, &spent) == 0 ? absl::DurationFromTimespec(spent)
                                           : absl::ZeroDuration();
}

void SetSpec(const v1::Tensor& tensor, v1::TensorSpec* spec) {
  spec->set_data_type(tensor.data_type());
  *spec->mutable_shape() = tensor.shape();
}

// Sends `data` piece by piece. False: the call is over.
bool WriteChunks(absl::string_view data, std::string* (v1::KeySetChunk::*field)(),
                 grpc::ClientWriter<v1::PutKeySetRequest>& writer) {
  v1::PutKeySetRequest part;
  for (; !data.empty(); data.remove_prefix(std::min(kChunkBytes, data.size()))) {
    const absl::string_view piece = data.substr(0, kChunkBytes);
    (part.mutable_chunk()->*field)()->assign(piece.data(), piece.size());
    if (!writer.Write(part)) return false;
  }
  return true;
}

}  // namespace

Remote::Remote(const std::string& address, pid_t pid, int channels) : pid_(pid) {
  for (int i = 0; i < channels; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetMaxSendMessageSize(-1);
    // Otherwise channels to one address share one connection.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    // The peers are on this machine.
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    const std::shared_ptr<grpc::Channel> channel =
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
    stubs_.push_back(v1::ScoringService::NewStub(channel));
    if (i == 0) key_sets_ = v1::KeySetService::NewStub(channel);
  }
}

absl::Status Remote::Score(const v1::ScoreRequest& request, v1::ScoreResponse* response) const {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
  return FromGrpcStatus(stubs_.front()->Score(&context, request, response));
}

absl::Status Remote::PutKeySet(const KeySetToPut& key_set) const {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
  v1::PutKeySetResponse response;
  const std::unique_ptr<grpc::ClientWriter<v1::PutKeySetRequest>> writer =
      key_sets_->PutKeySet(&context, &response);
  v1::PutKeySetRequest first;
  first.mutable_header()->set_name(key_set.name);
  SetSpec(key_set.keys, first.mutable_header()->mutable_keys());
  if (key_set.values != nullptr) {
    SetSpec(*key_set.values, first.mutable_header()->mutable_values());
  }
  bool open = writer->Write(first) &&
              WriteChunks(key_set.keys.data(), &v1::KeySetChunk::mutable_keys, *writer);
  if (open && key_set.values != nullptr) {
    open = WriteChunks(key_set.values->data(), &v1::KeySetChunk::mutable_values, *writer);
  }
  if (open) writer->WritesDone();
  // If the server ended the call early, this is the reason.
  return FromGrpcStatus(writer->Finish());
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
