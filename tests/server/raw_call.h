#ifndef QKSERVE_TESTS_SERVER_RAW_CALL_H_
#define QKSERVE_TESTS_SERVER_RAW_CALL_H_

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "grpcpp/channel.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"

namespace qkserve {

// Returns an open connection to a server of this test (ConnectedClient gives the reason). It never
// uses a proxy that the environment names.
inline std::shared_ptr<grpc::Channel> ChannelTo(
    const std::string& address, grpc::ChannelArguments arguments = grpc::ChannelArguments()) {
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  std::shared_ptr<grpc::Channel> channel =
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  EXPECT_TRUE(
      channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::minutes(1)));
  return channel;
}

// Sends bytes to a method as a client in any language would. Returns what came back.
inline grpc::Status RawCall(const std::shared_ptr<grpc::Channel>& channel,
                            const std::string& method, const std::string& request,
                            std::string* response) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const grpc::Slice slice(request);
  const auto call = stub.PrepareUnaryCall(&context, method, grpc::ByteBuffer(&slice, 1), &queue);
  call->StartCall();
  grpc::ByteBuffer bytes;
  grpc::Status status;
  call->Finish(&bytes, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  grpc::Slice whole;
  if (status.ok() && bytes.DumpToSingleSlice(&whole).ok()) {
    response->assign(whole.begin(), whole.end());
  }
  return status;
}

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SERVER_RAW_CALL_H_
