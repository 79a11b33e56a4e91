#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/byte_budget.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/utf8.h"
#include "core/batching/batcher.h"
#include "core/key_sets/key_set_store.h"
#include "qkserve/client.h"
#include "qkserve/limits.h"
#include "qkserve/v1/scoring.pb.h"
#include "server/admission/admit_score.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/v1_score.h"
#include "server/rpc/wire_message.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/key_set_uploads.h"
#include "tests/support/random_tensor.h"
#include "tests/support/wire_bytes.h"

namespace qkserve {
namespace {

// An input has up to four pieces. Each is a byte for the caller, then a ScoreRequest.
constexpr size_t kCallsMax = 4;
enum class Caller { kPatient, kGone, kLate };
constexpr int kCallerBytes = 8;  // most values are patient callers

// A result may have at most this many bytes, so that an input takes only milliseconds.
constexpr int64_t kResultBytesMax = kMiB / 4;
constexpr absl::Duration kCostMax = absl::Milliseconds(2);

// A server without its wire: key sets, a budget, and a batcher with one worker.
struct Core {
  Core() {
    const KeySetLayout layouts[] = {
        {.leading = {}, .d = 3},
        {.leading = {2}, .d = 3, .dv = 2, .value_type = DataType::kFloat16},
        {.leading = {1, 2}, .d = 4, .key_type = DataType::kBfloat16, .dv = 3},
        {.leading = {}, .d = 0, .dv = 1}};
    char name = 'a';
    for (const KeySetLayout& layout : layouts) {
      const std::string set(1, name++);
      const auto first = UploadPart(*key_sets, set, layout, {1, 60}).value();
      UploadPart(*key_sets, set, layout, {2, 10}, first->version()).value();
    }
    UploadPart(*key_sets, "empty", layouts[1], {3, 0}).value();
  }

  const std::unique_ptr<KeySetStore> key_sets =
      KeySetStore::Open({.memory_bytes_max = 16 * kMiB}, nullptr).value();
  ByteBudget budget{"in_flight_bytes_max", 64 * kMiB};
  const AdmissionOptions admission = {.message_bytes_max = kResultBytesMax,
                                      .compute = {.kernel = "inline",
                                                  .key_set_kernel = "key set",
                                                  .workers = 1,
                                                  .slots = 1,
                                                  .gflops_per_worker = 10},
                                      .key_sets = key_sets.get(),
                                      .budget = &budget};
  // The submitting thread runs nothing itself, so calls that it submits together can form batches.
  const std::unique_ptr<Batcher> batcher =
      Batcher::Create({.workers = 1, .arrival_cost_max = absl::ZeroDuration()}, Clock::Monotonic())
          .value();
};

// One answer to a call.
class Answer final : public Responder {
 public:
  explicit Answer(Caller caller) : caller_(caller) {}

  void Respond(const ComputedScore& score, const ScoreReceipt& receipt) override {
    v1::ScoreResponse response;
    EncodeScoreResponse(score, receipt, response);
    Require(response.ByteSizeLong() <= kResultBytesMax, "a response is as small as it must be");
    response.clear_receipt();
    Tell(response.SerializeAsString());
  }
  void Fail(const absl::Status& status, const ScoreReceipt& /*receipt*/) override {
    Require(!status.ok(), "a failure is no success");
    Tell(status);
  }
  void Hold(ByteBudget::Charge charge) override { charge_ = std::move(charge); }
  bool IsCancelled() const override { return caller_ == Caller::kGone; }

  // Waits for the answer. Returns the bytes of the response, or the error.
  absl::StatusOr<std::string> Await() {
    MutexLock lock(&mutex_);
    while (!answer_.has_value()) told_.Wait(&mutex_);
    return *answer_;
  }

 private:
  void Tell(absl::StatusOr<std::string> answer) {
    MutexLock lock(&mutex_);
    Require(!answer_.has_value(), "a call has one answer");
    answer_ = std::move(answer);
    told_.NotifyAll();
  }

  const Caller caller_;
  ByteBudget::Charge charge_;
  Mutex mutex_;
  CondVar told_;
  std::optional<absl::StatusOr<std::string>> answer_ ABSL_GUARDED_BY(mutex_);
};

struct Request {
  Caller caller = Caller::kPatient;
  v1::ScoreRequest message;
  ScoreCall call;  // points into the message
};

void CheckRefusal(const absl::Status& status, Caller caller) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kResourceExhausted:
      break;
    case absl::StatusCode::kCancelled:
      Require(caller == Caller::kGone, "a caller who waits is not cancelled");
      break;
    case absl::StatusCode::kDeadlineExceeded:
      Require(caller == Caller::kLate, "a caller without a deadline does not exceed it");
      break;
    default:
      Require(false, status.ToString());
  }
  Require(IsUtf8(ClientText(status.message())), "errors are UTF-8");
}

// Reads a request as the server does. Null if it was refused or would take too long here.
std::unique_ptr<Request> Read(const Core& core, absl::string_view piece) {
  FuzzInput in(piece);
  auto request = std::make_unique<Request>();
  const int caller = in.Below(kCallerBytes);
  if (caller == kCallerBytes - 1) request->caller = Caller::kGone;
  if (caller == kCallerBytes - 2) request->caller = Caller::kLate;
  grpc::ByteBuffer bytes = WireBytes(in.Rest());
  static const auto& fields = *new WireField(WireField::Request(*v1::ScoreRequest::descriptor()));
  size_t size = 0;
  if (!ReadWireMessage(fields, {}, &bytes, &request->message, &size).ok()) return nullptr;
  absl::StatusOr<ScoreCall> call = DecodeScoreCall(request->message);
  if (!call.ok()) return nullptr;
  call->request_bytes = static_cast<int64_t>(size);
  if (request->caller == Caller::kLate) call->deadline = absl::InfinitePast();
  request->call = *std::move(call);
  const auto admitted = AdmitScore(ScoreCall(request->call), core.admission);
  if (!admitted.ok()) {
    CheckRefusal(admitted.status(), request->caller);
    return nullptr;
  }
  return (*admitted)->spec().cost <= kCostMax ? std::move(request) : nullptr;
}

std::unique_ptr<Answer> Submit(const Core& core, const Request& request) {
  auto answer = std::make_unique<Answer>(request.caller);
  SubmitScore(ScoreCall(request.call), answer.get(), core.admission, core.batcher.get());
  return answer;
}

void CheckAnswer(const Request& request, const absl::StatusOr<std::string>& alone,
                 const absl::StatusOr<std::string>& together) {
  if (!alone.ok()) CheckRefusal(alone.status(), request.caller);
  if (!together.ok()) CheckRefusal(together.status(), request.caller);
  // A caller who has gone reads no answer.
  if (request.caller == Caller::kGone) return;
  Require(request.caller == Caller::kPatient || !alone.ok(), "no answer comes after its deadline");
  Require(alone.ok() == together.ok(), "an answer does not depend on the others'");
  Require(!alone.ok() || *alone == *together, "a batch changes no bit of an answer");
}

}  // namespace

void FuzzScore(absl::string_view input) {
  static const Core& core = *new Core;
  std::vector<std::unique_ptr<Request>> requests;
  for (FuzzInput in(input); !in.empty() && requests.size() < kCallsMax;) {
    if (std::unique_ptr<Request> request = Read(core, in.Piece())) {
      requests.push_back(std::move(request));
    }
  }
  std::vector<absl::StatusOr<std::string>> alone;
  for (const auto& request : requests) alone.push_back(Submit(core, *request)->Await());
  {
    std::vector<std::unique_ptr<Answer>> answers;
    for (const auto& request : requests) answers.push_back(Submit(core, *request));
    for (size_t i = 0; i < requests.size(); ++i) {
      CheckAnswer(*requests[i], alone[i], answers[i]->Await());
    }
  }
  Require(core.budget.bytes() == 0, "an answered call is charged no more");
}

FuzzSeeds ScoreSeeds() {
  const auto piece = [](const v1::ScoreRequest& request, int caller = 0) {
    return AsPiece(std::string(1, static_cast<char>(caller)) + request.SerializeAsString());
  };
  const Tensor q = RandomTensor(DataType::kFloat32, {2, 3}, 1);
  const Tensor k = RandomTensor(DataType::kFloat32, {5, 3}, 2);
  const Tensor batch = RandomTensor(DataType::kFloat16, {2, 2, 3}, 3);
  const Tensor heads = RandomTensor(DataType::kBfloat16, {1, 4, 2, 4}, 4);
  ScoreOptions context = {.scale = 0.5F, .values = k.View(), .output = Output::kContext};
  context.is_causal = true;
  context.log_sum_exp = true;
  ScoreOptions top = {.output = Output::kTopK, .top_k = 3};
  ScoreOptions weights = {.softcap = 2.0F, .key_lengths = {7, 70}, .output = Output::kWeights};
  const v1::ScoreRequest plain = MakeScoreRequest(q.View(), k.View(), {});
  const v1::ScoreRequest on_a = MakeScoreRequest(q.View(), KeySetReference{"a"}, top);
  const v1::ScoreRequest on_b = MakeScoreRequest(batch.View(), KeySetReference{"b"}, weights);
  const v1::ScoreRequest on_c =
      MakeScoreRequest(heads.View(), KeySetReference{"c"}, {.output = Output::kContext});
  const v1::ScoreRequest on_empty =
      MakeScoreRequest(batch.View(), KeySetReference{"empty"}, {.output = Output::kContext});
  return {
      {"plain", piece(plain)},
      {"context", piece(MakeScoreRequest(q.View(), k.View(), context))},
      {"pass", piece(on_a) + piece(on_a) + piece(on_a) + piece(on_b)},
      {"sets", piece(on_b) + piece(on_c) + piece(on_empty) + piece(plain)},
      {"gone-and-late", piece(on_c, kCallerBytes - 1) + piece(plain, kCallerBytes - 2)},
  };
}

}  // namespace qkserve
