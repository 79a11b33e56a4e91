#ifndef QKSERVE_SERVER_RPC_WIRE_SERVICE_H_
#define QKSERVE_SERVER_RPC_WIRE_SERVICE_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/impl/rpc_service_method.h"
#include "grpcpp/impl/service_type.h"
#include "grpcpp/support/message_allocator.h"
#include "grpcpp/support/server_callback.h"
// This header knows where the installed version of gRPC declares its handlers.
#include "qkserve/v1/status.grpc.pb.h"
#include "server/observe/call_recorder.h"
#include "server/observe/trace_context.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/wire_message.h"

namespace qkserve {

// A call of one request and one response. The code that has the answer finishes it, once.
class UnaryCall {
 public:
  UnaryCall(const CallRecorder& recorder, Method method, grpc::CallbackServerContext* context)
      : recorder_(&recorder),
        method_(method),
        begin_(recorder.Now()),
        context_(context),
        reactor_(context->DefaultReactor()) {
    EchoRequestTags(*context);
  }

  // Records the call and ends it. Returns the reactor for gRPC. Called once, from any thread. gRPC
  // may release the call's memory at any time after it.
  grpc::ServerUnaryReactor* Finish(const absl::Status& status) const {
    recorder_->RecordCall(*context_, method_, status, begin_);
    reactor_->Finish(ToGrpcStatus(status, *context_));
    return reactor_;
  }

  grpc::ServerUnaryReactor* reactor() const { return reactor_; }

 private:
  const CallRecorder* recorder_;
  Method method_;
  absl::Time begin_;
  grpc::CallbackServerContext* context_;
  grpc::ServerUnaryReactor* reactor_;
};

// A service of callback methods, like those of generated code. But ReadWireMessage reads the
// requests.
class WireService : public grpc::Service {
 protected:
  // Adds a method of one request and one response. `name` is "/PACKAGE.SERVICE/METHOD", a literal.
  // `start` begins a call, like a callback method in generated code. It gets a WireMessage in place
  // of a request. Without an allocator, gRPC makes the messages.
  template <class Request, class Response>
  void AddUnary(const char* name, auto start,
                grpc::MessageAllocator<WireMessage<Request>, Response>* allocator = nullptr) {
    auto* const handler = new grpc::internal::CallbackUnaryHandler<WireMessage<Request>, Response>(
        [start = std::move(start)](grpc::CallbackServerContext* context,
                                   const WireMessage<Request>* wire, Response* response) {
          wire->status = NoRequestStatus(wire->status, *context);
          return start(context, wire, response);
        });
    if (allocator != nullptr) handler->SetMessageAllocator(allocator);
    Add(name, grpc::internal::RpcMethod::NORMAL_RPC, handler);
  }

  // Adds a method that is answered at once. `answer` takes context, request and response, and
  // returns the call's status. Calls are recorded as `method`.
  template <class Request, class Response>
  void AddAnswer(const char* name, Method method, const CallRecorder& recorder, auto answer) {
    AddUnary<Request, Response>(
        name, [method, &recorder, answer](auto* context, auto* wire, auto* response) {
          const UnaryCall call(recorder, method, context);
          return call.Finish(wire->status.ok() ? answer(*context, wire->message, *response)
                                               : wire->status);
        });
  }

  // Adds a method of a stream of requests and one response.
  template <class Request, class Response>
  void AddUpload(const char* name, auto start) {
    Add(name, grpc::internal::RpcMethod::CLIENT_STREAMING,
        new grpc::internal::CallbackClientStreamingHandler<WireMessage<Request>, Response>(
            std::move(start)));
  }

  // Adds a method of one request and a stream of responses.
  template <class Request, class Response>
  void AddDownload(const char* name, auto start) {
    Add(name, grpc::internal::RpcMethod::SERVER_STREAMING,
        new grpc::internal::CallbackServerStreamingHandler<WireMessage<Request>, Response>(
            [start = std::move(start)](grpc::CallbackServerContext* context,
                                       const WireMessage<Request>* wire) {
              wire->status = NoRequestStatus(wire->status, *context);
              return start(context, wire);
            }));
  }

  // Adds a method of two streams.
  template <class Request, class Response>
  void AddExchange(const char* name, auto start) {
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
