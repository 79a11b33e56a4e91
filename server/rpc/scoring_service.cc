#include "server/rpc/scoring_service.h"

#include <chrono>
#include <functional>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/limit_error.h"
#include "core/key_sets/key_set_pass.h"
#include "core/key_sets/key_set_request.h"
#include "server/observe/trace_context.h"
#include "server/rpc/codec.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/key_set_metadata.h"

namespace qkserve {

struct PassRequest {
  KeySetRequest request;
};

namespace {

// What a call holds from the moment its whole request has arrived, not yet parsed, until its
// response is sent: gRPC makes one a call and releases it when it is done.
class CallMessages final : public grpc::MessageHolder<ScoringService::Request, v1::ScoreResponse> {
 public:
  CallMessages(CallCount* count, absl::Time arrival) : count_(*count), arrival_(arrival) {
    set_request(&request_);
    set_response(&response_);
    count_.Begin();
  }
  CallMessages(const CallMessages&) = delete;
  CallMessages& operator=(const CallMessages&) = delete;
  ~CallMessages() override { count_.End(); }
  void Release() override { delete this; }

  // When the whole request had arrived.
  absl::Time arrival() const { return arrival_; }

  void Hold(ByteBudget::Charge charge) { charge_ = std::move(charge); }

 private:
  CallCount& count_;
  const absl::Time arrival_;
  ScoringService::Request request_;
  v1::ScoreResponse response_;
  ByteBudget::Charge charge_;
};

// Tells gRPC's clients, those with a retry policy, how long to wait before they try again.
void AddPushBack(const absl::Status& status, grpc::ServerContextBase& context) {
  const absl::optional<absl::Duration> after = RetryAfterOf(status);
  if (!after.has_value()) return;
  context.AddTrailingMetadata("grpc-retry-pushback-ms",
                              absl::StrCat(absl::ToInt64Milliseconds(*after)));
}

// The call as the batcher sees it. What it points to lives until after Finish.
class ScoreJob final : public Job {
 public:
  ScoreJob(grpc::CallbackServerContext* context, grpc::ServerUnaryReactor* reactor,
           v1::ScoreResponse* response, const CallRecorder& recorder, absl::Time arrival,
           const std::string& kernel, DecodedScore decoded, ScoreMemory memory)
      : context_(*context),
        reactor_(*reactor),
        response_(*response),
        recorder_(recorder),
        arrival_(arrival),
        kernel_(kernel),
        decoded_(std::move(decoded)),
        memory_(std::move(memory)),
        request_{{decoded_.problem, decoded_.shape, memory_.Results()}} {}

  const PassRequest* pass_request() const override { return &request_; }

  absl::StatusOr<std::unique_ptr<Pass>> MakePass(
      absl::Span<const PassRequest* const> requests) override {
    std::vector<const KeySetRequest*> all;
    all.reserve(requests.size());
    for (const PassRequest* request : requests) all.push_back(&request->request);
    absl::StatusOr<std::unique_ptr<KeySetPass>> pass = KeySetPass::Create(decoded_.key_set, all);
    if (!pass.ok()) return pass.status();
    return *std::move(pass);
  }

  absl::Status RunTile(int64_t tile) override {
    return decoded_.plan->ComputeTile(tile, decoded_.problem, memory_.Results(),
                                      memory_.partials.get());
  }

  void Finish(const absl::Status& status, const JobReceipt& receipt) override {
    const absl::Status answer = status.ok() ? Respond(receipt) : status;
    recorder_.RecordScore(context_, answer,
                          {.arrival = arrival_,
                           .receipt = receipt,
                           .rows = decoded_.shape.Rows(),
                           .key_set = decoded_.key_set.get(),
                           .response_bytes = answer.ok() ? response_.ByteSizeLong() : 0});
    AddPushBack(answer, context_);
    reactor_.Finish(ToGrpcStatus(answer));
  }

  bool IsCancelled() const override { return context_.IsCancelled(); }

 private:
  // The message's copy of the result can be large, and std::string throws where there is no memory.
  absl::Status Respond(const JobReceipt& receipt) {
    if (decoded_.key_set != nullptr) ++decoded_.key_set->requests_served();
    try {
      EncodeScoreResponse(decoded_, memory_, receipt, kernel_, response_);
      return absl::OkStatus();
    } catch (const std::bad_alloc&) {
      return absl::ResourceExhaustedError("out of memory for the response");
    }
  }

  grpc::CallbackServerContext& context_;
  grpc::ServerUnaryReactor& reactor_;
  v1::ScoreResponse& response_;
  const CallRecorder& recorder_;
  const absl::Time arrival_;
  const std::string& kernel_;
  const DecodedScore decoded_;
  ScoreMemory memory_;
  const PassRequest request_;
};

JobSpec MakeJobSpec(const DecodedScore& decoded, double gflops) {
  JobSpec spec = {.rows = decoded.shape.Rows()};
  if (decoded.key_set == nullptr) {
    spec.tile_count = decoded.plan->tile_count();
    spec.cost = decoded.plan->PredictCost(gflops);
    return spec;
  }
  const KeySetCost cost =
      PredictKeySetCost(*decoded.key_set, decoded.problem, decoded.shape, gflops);
  spec.cost = cost.alone;
  spec.shared_cost = cost.shared;
  spec.group = GroupId{decoded.key_set->id()};
  // All versions of the set have its name in common.
  spec.tenant = TenantId{std::hash<std::string>()(decoded.key_set->name())};
  return spec;
}

// The context's deadline is on the system's clock, which may jump; what is left of it is not.
absl::Time DeadlineOn(const Clock& clock, const grpc::CallbackServerContext& context) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return absl::InfiniteFuture();
  // In Abseil's time, which saturates: a deadline from outside may be anything.
  return clock.Now() +
         (absl::FromChrono(deadline) - absl::FromChrono(std::chrono::system_clock::now()));
}

}  // namespace

ScoringService::ScoringService(const Options& options, Batcher* batcher, ByteBudget* budget,
                               const KeySetStore* key_sets, const CallRecorder* recorder,
                               const Clock* clock)
    : options_(options),
      batcher_(*batcher),
      budget_(*budget),
      key_sets_(*key_sets),
      recorder_(*recorder),
      clock_(*clock) {
  AddUnary<v1::ScoreRequest, v1::ScoreResponse>(
      "/qkserve.v1.ScoringService/Score",
      [this](grpc::CallbackServerContext* context, const Request* wire,
             v1::ScoreResponse* response) { return Score(context, wire, response); },
      this);
}

grpc::MessageHolder<ScoringService::Request, v1::ScoreResponse>*
ScoringService::AllocateMessages() {
  return new CallMessages(&calls_, clock_.Now());
}

grpc::ServerUnaryReactor* ScoringService::Score(grpc::CallbackServerContext* context,
                                                const Request* wire, v1::ScoreResponse* response) {
  // gRPC runs the completion of its own reactor where it stands, that of any other one on a further
  // thread: a fifth of the latency of a small call.
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  auto& messages = static_cast<CallMessages&>(*context->GetRpcAllocatorState());
  recorder_.metrics().CountReceived(wire->bytes);
  EchoRequestTags(*context);
  const auto refuse = [&](const absl::Status& status) {
    recorder_.RecordScore(*context, status, {.arrival = messages.arrival()});
    AddPushBack(status, *context);
    reactor->Finish(ToGrpcStatus(status));
    return reactor;
  };
  if (!wire->status.ok()) return refuse(wire->status);
  const v1::ScoreRequest& request = wire->message;
  absl::Status status = CheckKeySetMetadata(*context, request.key_set().name());
  if (!status.ok()) return refuse(status);
  absl::StatusOr<DecodedScore> decoded =
      DecodeScoreRequest(request, options_.message_bytes_max, key_sets_);
  if (!decoded.ok()) return refuse(decoded.status());
  absl::StatusOr<ByteBudget::Charge> charge = budget_.TryCharge(decoded->in_flight_bytes);
  if (!charge.ok()) return refuse(charge.status());
  messages.Hold(*std::move(charge));
  absl::StatusOr<ScoreMemory> memory = ScoreMemory::Allocate(*decoded);
  if (!memory.ok()) return refuse(memory.status());

  JobSpec spec = MakeJobSpec(*decoded, options_.gflops_per_worker);
  spec.arrival = messages.arrival();
  spec.deadline = DeadlineOn(clock_, *context);
  const std::string& kernel =
      decoded->key_set != nullptr ? options_.key_set_kernel : options_.kernel;
  batcher_.Submit(std::make_unique<ScoreJob>(context, reactor, response, recorder_, spec.arrival,
                                             kernel, *std::move(decoded), *std::move(memory)),
                  spec);
  return reactor;
}

}  // namespace qkserve
