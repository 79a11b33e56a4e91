#include "server/scoring_service.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <new>
#include <utility>

#include "absl/status/statusor.h"
#include "core/buffer.h"
#include "server/codec.h"
#include "server/grpc_status.h"

namespace qkserve {
namespace {

// One call, from its arrival until gRPC is done with it. Deletes itself in OnDone.
class ScoreCall final : public grpc::ServerUnaryReactor {
 public:
  void OnCancel() override { cancelled_.store(true, std::memory_order_relaxed); }
  void OnDone() override { delete this; }

  bool IsCancelled() const { return cancelled_.load(std::memory_order_relaxed); }

  // Held until gRPC has sent the response.
  void Hold(ByteBudget::Charge charge) { charge_ = std::move(charge); }

 private:
  std::atomic<bool> cancelled_{false};
  ByteBudget::Charge charge_;
};

// The call as the batcher sees it. The call outlives it: it is done only after Finish.
class ScoreJob final : public Job {
 public:
  ScoreJob(ScoreCall* call, const std::string& kernel, DecodedScore decoded, Buffer result,
           v1::ScoreResponse* response)
      : call_(*call),
        kernel_(kernel),
        decoded_(std::move(decoded)),
        result_(std::move(result)),
        response_(*response) {}

  absl::Status RunTile(int64_t tile) override {
    return decoded_.plan.ComputeTile(tile, decoded_.problem, result_.data());
  }

  void Finish(const absl::Status& status, const JobReceipt& receipt) override {
    call_.Finish(ToGrpcStatus(status.ok() ? Respond(receipt) : status));
  }

  bool IsCancelled() const override { return call_.IsCancelled(); }

 private:
  // The message's copy of the result is the only allocation of a request that can be large and does
  // not say so: std::string throws.
  absl::Status Respond(const JobReceipt& receipt) {
    try {
      EncodeScoreResponse(decoded_, result_.data(), receipt, kernel_, response_);
      return absl::OkStatus();
    } catch (const std::bad_alloc&) {
      return absl::ResourceExhaustedError("out of memory for the response");
    }
  }

  ScoreCall& call_;
  const std::string& kernel_;
  const DecodedScore decoded_;
  Buffer result_;
  v1::ScoreResponse& response_;
};

// The context's deadline is on the system's clock, which may jump; what is left of it is not.
absl::Time DeadlineOn(const Clock& clock, const grpc::CallbackServerContext& context) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return absl::InfiniteFuture();
  return clock.Now() + absl::FromChrono(deadline - std::chrono::system_clock::now());
}

}  // namespace

grpc::ServerUnaryReactor* ScoringService::Score(grpc::CallbackServerContext* context,
                                                const v1::ScoreRequest* request,
                                                v1::ScoreResponse* response) {
  auto* call = new ScoreCall();
  const auto refuse = [call](const absl::Status& status) {
    call->Finish(ToGrpcStatus(status));
    return call;
  };
  absl::StatusOr<DecodedScore> decoded = DecodeScoreRequest(*request, options_.message_bytes_max);
  if (!decoded.ok()) return refuse(decoded.status());
  absl::StatusOr<ByteBudget::Charge> charge = budget_.TryCharge(decoded->in_flight_bytes);
  if (!charge.ok()) return refuse(charge.status());
  call->Hold(*std::move(charge));
  absl::StatusOr<Buffer> result = Buffer::Allocate(static_cast<size_t>(decoded->result_bytes));
  if (!result.ok()) return refuse(result.status());

  const JobSpec spec = {.tile_count = decoded->plan.tile_count(),
                        .cost = decoded->plan.PredictCost(options_.gflops_per_worker),
                        .rows = decoded->plan.rows(),
                        .deadline = DeadlineOn(clock_, *context)};
  batcher_.Submit(std::make_unique<ScoreJob>(call, options_.kernel, *std::move(decoded),
                                             *std::move(result), response),
                  spec);
  return call;
}

}  // namespace qkserve
