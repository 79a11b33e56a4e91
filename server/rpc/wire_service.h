#ifndef QKSERVE_SERVER_RPC_WIRE_SERVICE_H_
#define QKSERVE_SERVER_RPC_WIRE_SERVICE_H_

#include <functional>
#include <utility>

#include "grpcpp/impl/rpc_service_method.h"
#include "grpcpp/impl/service_type.h"
#include "grpcpp/support/message_allocator.h"
#include "grpcpp/support/server_callback.h"
// Generated code knows where its version of gRPC has its handlers.
#include "qkserve/v1/status.grpc.pb.h"
#include "server/rpc/wire_message.h"

namespace qkserve {

// A service of callback methods, as generated code makes it, but for requests: they are read by
// ReadWireMessage.
class WireService : public grpc::Service {
 protected:
  template <class Request, class Response>
  using StartUnary = std::function<grpc::ServerUnaryReactor*(
      grpc::CallbackServerContext*, const WireMessage<Request>*, Response*)>;
  template <class Request, class Response>
  using StartUpload = std::function<grpc::ServerReadReactor<WireMessage<Request>>*(
      grpc::CallbackServerContext*, Response*)>;
  template <class Request, class Response>
  using StartDownload = std::function<grpc::ServerWriteReactor<Response>*(
      grpc::CallbackServerContext*, const WireMessage<Request>*)>;
  template <class Request, class Response>
  using StartExchange = std::function<grpc::ServerBidiReactor<WireMessage<Request>, Response>*(
      grpc::CallbackServerContext*)>;

  // `name` is "/PACKAGE.SERVICE/METHOD", and a literal. Without an allocator gRPC makes messages.
  template <class Request, class Response>
  void AddUnary(const char* name, StartUnary<Request, Response> start,
                grpc::MessageAllocator<WireMessage<Request>, Response>* allocator = nullptr) {
    auto* const handler =
        new grpc::internal::CallbackUnaryHandler<WireMessage<Request>, Response>(std::move(start));
    if (allocator != nullptr) handler->SetMessageAllocator(allocator);
    Add(name, grpc::internal::RpcMethod::NORMAL_RPC, handler);
  }

  // A stream of requests and one response.
  template <class Request, class Response>
  void AddUpload(const char* name, StartUpload<Request, Response> start) {
    Add(name, grpc::internal::RpcMethod::CLIENT_STREAMING,
        new grpc::internal::CallbackClientStreamingHandler<WireMessage<Request>, Response>(
            std::move(start)));
  }

  // One request and a stream of responses.
  template <class Request, class Response>
  void AddDownload(const char* name, StartDownload<Request, Response> start) {
    Add(name, grpc::internal::RpcMethod::SERVER_STREAMING,
        new grpc::internal::CallbackServerStreamingHandler<WireMessage<Request>, Response>(
            std::move(start)));
  }

  // Two streams.
  template <class Request, class Response>
  void AddExchange(const char* name, StartExchange<Request, Response> start) {
    Add(name, grpc::internal::RpcMethod::BIDI_STREAMING,
        new grpc::internal::CallbackBidiHandler<WireMessage<Request>, Response>(std::move(start)));
  }

 private:
  void Add(const char* name, grpc::internal::RpcMethod::RpcType type,
           grpc::internal::MethodHandler* handler) {
    AddMethod(new grpc::internal::RpcServiceMethod(name, type, nullptr));
    MarkMethodRawCallback(methods_++, handler);
  }

  int methods_ = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_WIRE_SERVICE_H_
