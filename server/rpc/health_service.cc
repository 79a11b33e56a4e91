#include "server/rpc/health_service.h"

#include <functional>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "server/rpc/grpc_status.h"

namespace qkserve {

// A call of Watch, which gets each new state. Only one write is under way at a time. If the state
// changes several times during a write, only the last state is sent.
class HealthService::Watcher final : public grpc::ServerWriteReactor<Response> {
 public:
  Watcher(HealthService* health, const Request& wire) : health_(*health) {
    if (!wire.status.ok()) {
      End(wire.status);
      return;
    }
    MutexLock lock(&health_.mutex_);
    // The call gets nothing after SERVICE_UNKNOWN, because an unknown service stays unknown.
    const bool is_known = health_.services_.count(wire.message.service()) > 0;
    if (is_known) health_.watchers_.insert(this);
    Send(is_known ? health_.ServingStatus() : Response::SERVICE_UNKNOWN);
  }

  // The caller holds health_.mutex_. Clang's analysis cannot check that here.
  void Send(Response::ServingStatus status) {
    newest_ = status;
    if (is_writing_ || is_ended_ || newest_ == response_.status()) return;
    is_writing_ = true;
    response_.set_status(newest_);
    this->StartWrite(&response_);
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return End(absl::CancelledError("the caller went"));
    MutexLock lock(&health_.mutex_);
    is_writing_ = false;
    Send(newest_);
  }

  void OnCancel() override { End(absl::CancelledError("the caller went")); }

  void OnDone() override {
    {
      MutexLock lock(&health_.mutex_);
      health_.watchers_.erase(this);
    }
    delete this;
  }

 private:
  void End(const absl::Status& status) {
    {
      MutexLock lock(&health_.mutex_);
      if (std::exchange(is_ended_, true)) return;
    }
    this->Finish(ToGrpcStatus(status));
  }

  HealthService& health_;
  // health_.mutex_ guards these members, except for the response while it is written.
  Response response_;
  Response::ServingStatus newest_ = Response::UNKNOWN;
  bool is_writing_ = false;
  bool is_ended_ = false;
};

// There is no gate, because probes and balancers have no identity, and the answer is a single word.
HealthService::HealthService(std::set<std::string> services)
    : WireService(nullptr), services_(std::move(services)) {
  using Message = grpc::health::v1::HealthCheckRequest;
  AddUnary<Message, Response>("/grpc.health.v1.Health/Check", std::nullopt,
                              std::bind_front(&HealthService::Check, this));
  AddDownload<Message, Response>("/grpc.health.v1.Health/Watch", std::nullopt,
                                 [this](const Grant& /*grant*/, auto* /*context*/, auto* wire) {
                                   return new Watcher(this, *wire);
                                 });
}

grpc::ServerUnaryReactor* HealthService::Check(const Grant& /*grant*/,
                                               grpc::CallbackServerContext* context,
                                               const Request* wire, Response* response) {
  absl::Status status = wire->status;
  if (status.ok() && services_.count(wire->message.service()) == 0) {
    status = absl::NotFoundError("service: got one that this server does not have");
  }
  if (status.ok()) {
    MutexLock lock(&mutex_);
    response->set_status(ServingStatus());
  }
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

void HealthService::SetServing(bool is_serving) {
  MutexLock lock(&mutex_);
  is_serving_ = is_serving;
  for (Watcher* const watcher : watchers_) watcher->Send(ServingStatus());
}

}  // namespace qkserve
