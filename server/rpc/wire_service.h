#ifndef QKSERVE_SERVER_RPC_WIRE_SERVICE_H_
#define QKSERVE_SERVER_RPC_WIRE_SERVICE_H_

#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/impl/rpc_service_method.h"
#include "grpcpp/impl/service_type.h"
#include "grpcpp/support/message_allocator.h"
#include "grpcpp/support/server_callback.h"
// This header knows where the installed version of gRPC declares its handlers.
#include "qkserve/v1/status.grpc.pb.h"
#include "server/observe/call_recorder.h"
#include "server/observe/trace_context.h"
#include "server/rpc/call_gate.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/wire_message.h"

namespace qkserve {

// A call of one request and one response. The code that has the answer finishes the call, once.
class UnaryCall {
 public:
  UnaryCall(const CallRecorder& recorder, Method method, std::string identity,
            grpc::CallbackServerContext* context)
      : recorder_(&recorder),
        method_(method),
        identity_(std::move(identity)),
        begin_(recorder.Now()),
        context_(context),
        reactor_(context->DefaultReactor()) {
    EchoRequestTags(*context);
  }

  // Records the call and ends it. Returns the reactor for gRPC. Called once, from any thread. gRPC
  // may release the call's memory at any time afterwards.
  grpc::ServerUnaryReactor* Finish(const absl::Status& status) const {
    recorder_->RecordCall(*context_, method_, status, begin_, identity_);
    reactor_->Finish(ToGrpcStatus(status, *context_));
    return reactor_;
  }

  grpc::ServerUnaryReactor* reactor() const { return reactor_; }
  const std::string& identity() const { return identity_; }

 private:
  const CallRecorder* recorder_;
  Method method_;
  std::string identity_;
  absl::Time begin_;
  grpc::CallbackServerContext* context_;
  grpc::ServerUnaryReactor* reactor_;
};

// Ends a stream as soon as it begins. `Reactor` is the reactor class of the stream's kind.
template <class Reactor>
class RefusedStream final : public Reactor {
 public:
  explicit RefusedStream(const absl::Status& status) { this->Finish(ToGrpcStatus(status)); }
  void OnDone() override { delete this; }
};

// A service of callback methods. It differs from generated code in two ways. ReadWireMessage reads
// the requests, and every call passes a gate before the service sees it.
//
// `start` begins a call, like a callback method in generated code. Its first argument is the call's
// Grant. In place of a request it gets a WireMessage.
class WireService : public grpc::Service {
 protected:
  // The gate must outlive the service and the calls. Null: every call is let in, with an empty
  // Grant.
  explicit WireService(const CallGate* gate) : gate_(gate) {}

  // Adds a method of one request and one response. `name` is "/PACKAGE.SERVICE/METHOD", a literal.
  // Calls that the gate refuses are recorded as `method`. Without an allocator, gRPC makes the
  // messages.
  template <class Request, class Response>
  void AddUnary(const char* name, std::optional<Method> method, auto start,
                grpc::MessageAllocator<WireMessage<Request>, Response>* allocator = nullptr) {
    auto* const handler = new grpc::internal::CallbackUnaryHandler<WireMessage<Request>, Response>(
        [this, method, start](grpc::CallbackServerContext* context,
                              const WireMessage<Request>* wire, Response* response) {
          absl::StatusOr<Grant> grant = LetIn(*context, method);
          if (grant.ok()) {
            wire->status = NoRequestStatus(wire->status, *context);
            return start(*std::move(grant), context, wire, response);
          }
          grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
          reactor->Finish(ToGrpcStatus(grant.status()));
          return reactor;
        });
    if (allocator != nullptr) handler->SetMessageAllocator(allocator);
    Add(name, grpc::internal::RpcMethod::NORMAL_RPC, handler);
  }

  // Adds a method that is answered at once. `answer` takes context, grant, request and response,
  // and returns the call's status. Calls are recorded as `method`.
  template <class Request, class Response>
  void AddAnswer(const char* name, Method method, const CallRecorder& recorder, auto answer) {
    AddUnary<Request, Response>(
        name, method,
        [method, &recorder, answer](const Grant& grant, auto* context, auto* wire, auto* response) {
          const UnaryCall call(recorder, method, grant.identity, context);
          return call.Finish(wire->status.ok() ? answer(*context, grant, wire->message, *response)
                                               : wire->status);
        });
  }

  // Adds a method of a stream of requests and one response.
  template <class Request, class Response>
  void AddUpload(const char* name, std::optional<Method> method, auto start) {
    using Reactor = grpc::ServerReadReactor<WireMessage<Request>>;
    Add(name, grpc::internal::RpcMethod::CLIENT_STREAMING,
        new grpc::internal::CallbackClientStreamingHandler<WireMessage<Request>, Response>(
            [this, method, start](grpc::CallbackServerContext* context,
                                  Response* response) -> Reactor* {
              return Begin<Reactor>(*context, method, start, context, response);
            }));
  }

  // Adds a method of one request and a stream of responses.
  template <class Request, class Response>
  void AddDownload(const char* name, std::optional<Method> method, auto start) {
    using Reactor = grpc::ServerWriteReactor<Response>;
    Add(name, grpc::internal::RpcMethod::SERVER_STREAMING,
        new grpc::internal::CallbackServerStreamingHandler<WireMessage<Request>, Response>(
            [this, method, start](grpc::CallbackServerContext* context,
                                  const WireMessage<Request>* wire) -> Reactor* {
              wire->status = NoRequestStatus(wire->status, *context);
              return Begin<Reactor>(*context, method, start, context, wire);
            }));
  }

  // Adds a method of two streams.
  template <class Request, class Response>
  void AddExchange(const char* name, std::optional<Method> method, auto start) {
    using Reactor = grpc::ServerBidiReactor<WireMessage<Request>, Response>;
    Add(name, grpc::internal::RpcMethod::BIDI_STREAMING,
        new grpc::internal::CallbackBidiHandler<WireMessage<Request>, Response>(
            [this, method, start](grpc::CallbackServerContext* context) -> Reactor* {
              return Begin<Reactor>(*context, method, start, context);
            }));
  }

 private:
  absl::StatusOr<Grant> LetIn(grpc::ServerContextBase& context,
                              std::optional<Method> method) const {
    return gate_ == nullptr ? Grant() : gate_->LetIn(context, method);
  }

  // Begins a stream. `arguments` are the arguments of `start` after the Grant.
  template <class Reactor>
  Reactor* Begin(grpc::ServerContextBase& context, std::optional<Method> method, const auto& start,
                 auto*... arguments) const {
    absl::StatusOr<Grant> grant = LetIn(context, method);
    if (!grant.ok()) return new RefusedStream<Reactor>(grant.status());
    return start(*std::move(grant), arguments...);
  }

  void Add(const char* name, grpc::internal::RpcMethod::RpcType type,
           grpc::internal::MethodHandler* handler) {
    AddMethod(new grpc::internal::RpcServiceMethod(name, type, nullptr));
    MarkMethodRawCallback(methods_++, handler);
  }

  const CallGate* const gate_;
  int methods_ = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_WIRE_SERVICE_H_
