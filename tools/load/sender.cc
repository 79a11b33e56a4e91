#include "tools/load/sender.h"

#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "grpcpp/alarm.h"
#include "grpcpp/client_context.h"
#include "qkserve/channel.h"
#include "qkserve/client.h"
#include "tools/load/reply.h"

namespace qkserve {
namespace {

// The longest time until a sender notices that it must stop.
constexpr std::chrono::milliseconds kPoll{20};
constexpr absl::Duration kSleepMax = absl::Milliseconds(20);

// A caller pauses after an error. Each further error in a row doubles the pause, up to kPauseMax.
constexpr absl::Duration kPauseMin = absl::Milliseconds(1);
constexpr int kPauseDoublingsMax = 7;
constexpr absl::Duration kPauseMax = absl::Milliseconds(100);

// Returns the share of one sender. Shares differ by at most one.
int64_t ShareOf(int64_t total, int sender, int senders) {
  return total / senders + (sender < total % senders ? 1 : 0);
}

// The message of gRPC when a call reaches its deadline before the server has answered.
constexpr absl::string_view kExpired = "Deadline Exceeded";

}  // namespace

void SenderContext::NoteAnswer(int64_t sequence, const absl::Status& status) {
  MutexLock lock(&mutex_);
  if (!absl::IsUnavailable(status)) {
    seen_ = true;
    return;
  }
  unavailable_.Update(status);
  if (sequence < first_requests && ++refused_ == first_requests && !seen_) nobody_there = true;
}

absl::Status SenderContext::NobodyThere() const {
  MutexLock lock(&mutex_);
  return nobody_there || !seen_ ? unavailable_ : absl::OkStatus();
}

// A request and its answer. Later requests reuse the object.
struct Sender::Call {
  std::optional<RetriedCall> tries;            // set if there may be several attempts
  std::optional<grpc::ClientContext> context;  // gRPC needs a new one for each attempt
  std::unique_ptr<grpc::ClientAsyncResponseReader<grpc::ByteBuffer>> reader;
  grpc::ByteBuffer reply;
  grpc::Status status;
  absl::Duration intended, sent;
  int64_t sequence = 0;
  size_t request = 0;
  size_t channel = 0;
  bool in_flight = false;

  // Ends a pause before another attempt, or a pause of a caller in a closed loop.
  grpc::Alarm alarm;
  bool pausing = false;
  bool retrying = false;  // true only if `pausing` is true
  int failures = 0;       // since the last answer that was OK
};

Sender::Sender(int index, SenderContext* context)
    : index_(index),
      context_(*context),
      open_loop_(context->options.concurrency == 0),
      picker_(context->target.requests, index, context->senders, context->options.seed),
      pacer_(
          Schedule(open_loop_ ? context->options.Profile() : RateProfile{1, 1},
                   context->options.arrivals, context->options.seed),
          index, context->senders,
          std::max<int64_t>(1, ShareOf(context->options.in_flight_max, index, context->senders))) {
  for (const auto* channels : {&context->target.channels, &context->target.spare_channels}) {
    for (const std::shared_ptr<grpc::Channel>& channel : *channels) stubs_.emplace_back(channel);
  }
}

Sender::~Sender() = default;

void Sender::Start() {
  ++context_.running;
  receive_thread_ = std::thread([this] { Receive(); });
  if (open_loop_) send_thread_ = std::thread([this] { SendOnSchedule(); });
}

void Sender::Join() {
  if (send_thread_.joinable()) send_thread_.join();
  if (receive_thread_.joinable()) receive_thread_.join();
}

Sender::Call* Sender::TakeCall() {
  MutexLock lock(&mutex_);
  if (free_.empty()) {
    calls_.push_back(std::make_unique<Call>());
    free_.push_back(calls_.back().get());
  }
  Call* const call = free_.back();
  free_.pop_back();
  call->in_flight = true;
  ++in_flight_;
  return call;
}

void Sender::ReturnCall(Call* call) {
  MutexLock lock(&mutex_);
  call->in_flight = false;
  free_.push_back(call);
  --in_flight_;
  room_.NotifyOne();
}

void Sender::Begin(Call& call, absl::Duration intended) {
  call.sequence = sequence_++ * context_.senders + index_;
  call.request = picker_.Next();
  const int64_t own_channels =
      ShareOf(static_cast<int64_t>(context_.target.channels.size()), index_, context_.senders);
  call.channel = static_cast<size_t>(index_ + sequence_ % own_channels * context_.senders);
  call.sent = context_.Now();
  call.intended = open_loop_ ? intended : call.sent;
  if (call.intended >= context_.options.warm_up) {
    context_.recorder->RecordSend(index_, call.sent - call.intended);
  }
  if (context_.options.attempts > 1) call.tries.emplace(&context_.retries, Repeat::kReads);
  SendAttempt(call);
}

void Sender::SendAttempt(Call& call) {
  const RequestSet& set = *context_.target.requests;
  const RequestSet::Request& request = set.requests[call.request];
  call.reader.reset();  // the reader must end before its context
  call.context.emplace();
  static const std::string& method = *new std::string("/qkserve.v1.ScoringService/Score");
  static const std::string& no_key_set = *new std::string();
  PrepareCall(*call.context, call.sent + context_.options.timeout - context_.Now(),
              set.key_sets.empty() ? no_key_set : set.key_sets[request.key_set]);
  for (const auto& [name, value] : context_.target.metadata) call.context->AddMetadata(name, value);
  call.reply.Clear();
  call.reader =
      stubs_[call.channel].PrepareUnaryCall(&*call.context, method, request.bytes, &queue_);
  call.reader->StartCall();
  call.reader->Finish(&call.reply, &call.status, &call);
}

void Sender::Record(Call& call, absl::Duration answered) {
  LoadAnswer answer = {call.intended, call.sent, answered, FromGrpcStatus(call.status), {}};
  answer.is_unanswered = absl::IsDeadlineExceeded(answer.status) &&
                         absl::StartsWith(answer.status.message(), kExpired);
  if (call.tries.has_value()) {
    answer.status = call.tries->Explain(answer.status);
    answer.attempts = std::max(1, call.tries->attempts());
    answer.is_over_budget = call.tries->is_over_budget();
  }
  if (answer.status.ok()) answer.status = ReadReceipt(call.reply, &receipt_);
  if (answer.status.ok()) {
    answer.receipt.queued = absl::Nanoseconds(receipt_.queued_ns());
    answer.receipt.computed = absl::Nanoseconds(receipt_.computed_ns());
    answer.receipt.batch_requests = receipt_.batch_requests();
    if (context_.target.tap) context_.target.tap(call.sequence, call.request, call.reply);
  }
  context_.NoteAnswer(call.sequence, answer.status);
  if (call.intended < context_.options.warm_up) return;
  if (cancelled_ && absl::IsCancelled(answer.status)) {
    context_.recorder->RecordAbandoned(index_);
  } else {
    context_.recorder->RecordAnswer(index_, answer);
  }
}

// Returns true if the call will be sent again. In this case the pause before the attempt begins.
bool Sender::Retry(Call& call) {
  if (!call.tries.has_value() || cancelled_) return false;
  const absl::Duration left = call.sent + context_.options.timeout - context_.Now();
  const std::optional<absl::Duration> pause =
      call.tries->PauseAfter(call.status, *call.context, left);
  if (!pause.has_value()) return false;
  call.channel = (call.channel + 1) % stubs_.size();
  call.retrying = true;
  Wake(call, *pause);
  return true;
}

void Sender::Wake(Call& call, absl::Duration after) {
  call.pausing = true;
  call.alarm.Set(&queue_, std::chrono::system_clock::now() + absl::ToChronoNanoseconds(after),
                 &call);
}

void Sender::Completed(Call& call) {
  if (std::exchange(call.pausing, false)) {
    if (!std::exchange(call.retrying, false)) return SendNext(call, /*failed=*/false);
    if (!cancelled_) return SendAttempt(call);
    call.status = grpc::Status::CANCELLED;
  } else if (Retry(call)) {
    return;
  }
  Record(call, context_.Now());
  call.tries.reset();
  if (open_loop_) {
    ReturnCall(&call);
  } else {
    call.failures = call.status.ok() ? 0 : call.failures + 1;
    SendNext(call, !call.status.ok());
  }
}

void Sender::SendNext(Call& call, bool failed) {
  const absl::Duration now = context_.Now();
  if (now >= context_.end || context_.stop || context_.nobody_there) {
    ReturnCall(&call);
  } else if (failed) {
    const int doublings = std::min(call.failures - 1, kPauseDoublingsMax);
    const absl::Duration pause = std::min(kPauseMin * (1 << doublings), kPauseMax);
    Wake(call, pause);
  } else {
    Begin(call, now);
  }
}

void Sender::CancelAll() {
  cancelled_ = true;
  MutexLock lock(&mutex_);
  for (const std::unique_ptr<Call>& call : calls_) {
    if (!call->in_flight) continue;
    if (!call->pausing) call->context->TryCancel();
    if (call->retrying) call->alarm.Cancel();
  }
}

void Sender::Receive() {
  if (!open_loop_) {
    const int64_t callers = ShareOf(context_.options.concurrency, index_, context_.senders);
    for (int64_t i = 0; i < callers; ++i) Begin(*TakeCall(), context_.Now());
    all_sent_ = true;
  }
  void* tag = nullptr;
  bool ok = false;
  while (!all_sent_ || in_flight_ > 0) {
    const auto status = queue_.AsyncNext(&tag, &ok, std::chrono::system_clock::now() + kPoll);
    if (status == grpc::CompletionQueue::GOT_EVENT) Completed(*static_cast<Call*>(tag));
    // Until all_sent_ is true, the sending thread may be starting a call. CancelAll must not touch
    // such a call.
    if (context_.cancel && all_sent_ && !cancelled_) CancelAll();
  }
  queue_.Shutdown();
  while (queue_.Next(&tag, &ok)) {
  }
  --context_.running;
}

// Waits until fewer requests are in flight, but at most kSleepMax, so that this thread notices the
// end of the load.
void Sender::WaitForRoom() {
  MutexLock lock(&mutex_);
  if (in_flight_ >= pacer_.in_flight_max()) room_.WaitFor(&mutex_, kSleepMax);
}

void Sender::SendOnSchedule() {
  // By default the kernel may wake this thread 50 us late, to save power. This allows 1 us.
  prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
  Pacer::Step::Kind last = Pacer::Step::kSleep;
  while (!context_.stop && !context_.nobody_there) {
    const absl::Duration now = context_.Now();
    const Pacer::Step step = pacer_.Next(now, in_flight_);
    if (step.kind == Pacer::Step::kEnd) break;
    if (step.kind == Pacer::Step::kSend) {
      Begin(*TakeCall(), step.at);
    } else if (step.kind == Pacer::Step::kSleep) {
      std::this_thread::sleep_for(absl::ToChronoNanoseconds(std::min(step.at - now, kSleepMax)));
    } else {
      WaitForRoom();
    }
    last = step.kind;
  }
  const absl::Duration end = std::min(context_.Now(), context_.end);
  context_.recorder->RecordUnsent(index_, pacer_.TakeUnsent(context_.options.warm_up, end),
                                  last == Pacer::Step::kFull);
  all_sent_ = true;
}

}  // namespace qkserve
