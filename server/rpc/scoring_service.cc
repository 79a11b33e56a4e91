#include "server/rpc/scoring_service.h"

#include <chrono>
#include <new>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "server/rpc/caller_metadata.h"
#include "server/rpc/key_set_codec.h"
#include "server/rpc/v1_score.h"

namespace qkserve {
namespace {

// Returns the deadline of a call on `clock`: the time of `clock` plus the time that is left. The
// context has the deadline on the system's clock, which may jump.
absl::Time DeadlineOn(const Clock& clock, const grpc::CallbackServerContext& context) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return absl::InfiniteFuture();
  // The sum cannot overflow, whatever the caller's deadline is, because Abseil's time saturates.
  return clock.Now() +
         (absl::FromChrono(deadline) - absl::FromChrono(std::chrono::system_clock::now()));
}

}  // namespace

// A call and its unary reply. gRPC has this object made when the whole request has arrived but is
// not yet parsed. gRPC releases the object when the response is sent, which may be at any time
// after the reactor's Finish.
class ScoringService::Call final : public grpc::MessageHolder<Request, v1::ScoreResponse>,
                                   public Responder {
 public:
  explicit Call(ScoringService* service) : service_(*service), arrival_(service->clock_.Now()) {
    request_.inflate = {.bytes_max = InflatedBytesMax(service->admission_.message_bytes_max),
                        .budget = service->admission_.budget};
    set_request(&request_);
    set_response(&response_);
    service_.calls_.Begin();
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() override {
    if (context_ != nullptr) service_.replies_.Disarm(context_->c_call());
    service_.calls_.End();
  }
  void Release() override { delete this; }

  // Called when the request is parsed.
  grpc::ServerUnaryReactor* Start(Grant grant, grpc::CallbackServerContext* context) {
    grant_ = std::move(grant);
    context_ = context;
    deadline_ = DeadlineOn(service_.clock_, *context);
    // gRPC completes its default reactor inline. A custom reactor would add a change of threads,
    // which takes a fifth of the latency of a small call.
    grpc::ServerUnaryReactor* const reactor = reactor_ = context->DefaultReactor();
    service_.recorder_.metrics().CountReceived(request_.bytes);
    EchoRequestTags(*context);
    absl::StatusOr<ScoreCall> call = Decode();
    if (call.ok()) {
      SubmitScore(*std::move(call), this, service_.admission_, &service_.batcher_);
    } else {
      Fail(call.status(), {});
    }
    return reactor;  // this object may be gone
  }

  void Respond(const ComputedScore& score, const ScoreReceipt& receipt) override {
    // This copies the result, which may be too large for the memory.
    try {
      EncodeScoreResponse(score, receipt, response_);
    } catch (const std::bad_alloc&) {
      Fail(absl::ResourceExhaustedError("out of memory for the response"), receipt);
      return;
    }
    Finish(absl::OkStatus(), receipt, response_.ByteSizeLong());
  }

  void Fail(const absl::Status& status, const ScoreReceipt& receipt) override {
    Finish(status, receipt, 0);
  }

  void Hold(ByteBudget::Charge charge) override { charge_ = std::move(charge); }

  bool IsCancelled() const override { return context_->IsCancelled(); }

 private:
  absl::StatusOr<ScoreCall> Decode() {
    ASSIGN_OR_RETURN(Caller caller, ReadCaller(*context_, grant_.identity, service_.has_identities_,
                                               service_.tenants_, arrival_));
    tenant_ = caller.tenant;
    RETURN_IF_ERROR(request_.status);
    RETURN_IF_ERROR(CheckKeySetMetadata(*context_, request_.message.key_set().name()));
    absl::StatusOr<ScoreCall> call = DecodeScoreCall(request_.message);
    if (!call.ok()) return call;
    // The message's bytes count, not the sizes of the tensors, because a tensor that comes twice
    // takes memory twice. The numbers of a list take more memory than their bytes in the message.
    call->request_bytes = static_cast<int64_t>(
        request_.bytes + 2 * sizeof(int64_t) * call->problem.key_lengths.size());
    call->tenant = std::move(caller.tenant);
    call->priority = caller.priority;
    call->permissions = grant_.permissions.get();
    call->arrival = arrival_;
    call->deadline = deadline_;
    return call;
  }

  void Finish(const absl::Status& status, const ScoreReceipt& receipt, size_t response_bytes) {
    service_.recorder_.RecordScore(*context_, tenant_.get(), status, arrival_, receipt,
                                   response_bytes, grant_.identity);
    // Arm comes first, because the call may have ended before reactor_->Finish returns.
    service_.replies_.Arm(context_->c_call(), deadline_);
    reactor_->Finish(ToGrpcStatus(status, *context_));
  }

  ScoringService& service_;
  const absl::Time arrival_;
  absl::Time deadline_ = absl::InfiniteFuture();
  Grant grant_;
  grpc::CallbackServerContext* context_ = nullptr;
  grpc::ServerUnaryReactor* reactor_ = nullptr;
  Request request_;
  v1::ScoreResponse response_;
  ByteBudget::Charge charge_;
  std::shared_ptr<Tenant> tenant_;  // null until the metadata are read
};

ScoringService::ScoringService(AdmissionOptions admission, Batcher* batcher, Tenants* tenants,
                               InFlightCalls* calls, const CallGate* gate,
                               const CallRecorder* recorder, const Clock* clock,
                               absl::Duration reply_timeout)
    : WireService(gate),
      admission_(std::move(admission)),
      batcher_(*batcher),
      tenants_(*tenants),
      has_identities_(gate != nullptr && gate->has_identities()),
      calls_(*calls),
      recorder_(*recorder),
      clock_(*clock),
      replies_(clock, reply_timeout) {
  AddUnary<v1::ScoreRequest, v1::ScoreResponse>(
      "/qkserve.v1.ScoringService/Score", Method::kScore,
      [](Grant grant, grpc::CallbackServerContext* context, auto* /*wire*/, auto* /*response*/) {
        // AllocateMessages made the call.
        Call& call = static_cast<Call&>(*context->GetRpcAllocatorState());
        return call.Start(std::move(grant), context);
      },
      this);
}

grpc::MessageHolder<ScoringService::Request, v1::ScoreResponse>*
ScoringService::AllocateMessages() {
  return new Call(this);
}

}  // namespace qkserve
