#include "bench/closed_loop.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/clock.h"
#include "qkserve/client.h"

namespace qkserve::bench {
namespace {

constexpr std::chrono::seconds kCallTimeout(60);

absl::Time Now() { return Clock::Monotonic()->Now(); }

}  // namespace

double Window::PartOf(absl::Time sent, absl::Time answered) const {
  const absl::Duration within = std::min(answered, end) - std::max(sent, begin);
  return within <= absl::ZeroDuration() ? 0 : absl::FDivDuration(within, answered - sent);
}

struct ClosedLoop::Caller {
  Caller(v1::ScoringService::Stub& stub, const v1::ScoreRequest& request)
      : stub(stub), request(request) {}

  v1::ScoringService::Stub& stub;
  const v1::ScoreRequest& request;
  absl::Time sent;
  std::optional<grpc::ClientContext> context;  // each call needs a new one
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::ScoreResponse>> reader;
  v1::ScoreResponse response;
  grpc::Status status;
};

struct ClosedLoop::Queue {
  grpc::CompletionQueue completions;
  std::vector<std::unique_ptr<Caller>> callers;
  LoopTally tally;
  absl::Status status;
};

ClosedLoop::ClosedLoop(const Remote& remote, absl::Span<const v1::ScoreRequest> requests,
                       int callers, const Window& window)
    : window_(window) {
  for (int i = 0; i < std::min(callers, remote.channels()); ++i)
    queues_.push_back(std::make_unique<Queue>());
  for (int i = 0; i < callers; ++i) {
    Queue& queue = *queues_[static_cast<size_t>(i) % queues_.size()];
    queue.callers.push_back(std::make_unique<Caller>(
        remote.StubOf(i), requests[static_cast<size_t>(i) % requests.size()]));
  }
  for (const std::unique_ptr<Queue>& queue : queues_) {
    threads_.emplace_back([this, &queue = *queue] { Serve(queue); });
  }
}

ClosedLoop::~ClosedLoop() { Join().IgnoreError(); }

absl::StatusOr<LoopTally> ClosedLoop::Join() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  LoopTally sum;
  for (const std::unique_ptr<Queue>& queue : queues_) {
    if (!queue->status.ok()) return queue->status;
    const LoopTally& tally = queue->tally;
    sum.requests += tally.requests;
    sum.latency_us.insert(sum.latency_us.end(), tally.latency_us.begin(), tally.latency_us.end());
    sum.batch_requests.insert(sum.batch_requests.end(), tally.batch_requests.begin(),
                              tally.batch_requests.end());
  }
  return sum;
}

void ClosedLoop::Serve(Queue& queue) {
  for (const std::unique_ptr<Caller>& caller : queue.callers) Send(*caller, queue);
  void* tag = nullptr;
  bool ok = false;
  for (size_t waiting = queue.callers.size(); waiting > 0 && queue.completions.Next(&tag, &ok);) {
    auto& caller = *static_cast<Caller*>(tag);
    const absl::Time answered = Now();
    if (caller.status.ok()) {
      Count(caller, answered, queue);
    } else {
      queue.status.Update(FromGrpcStatus(caller.status));
      failed_ = true;
    }
    if (answered < window_.end && !failed_) {
      Send(caller, queue);
    } else {
      --waiting;
    }
  }
  queue.completions.Shutdown();
  while (queue.completions.Next(&tag, &ok)) {
  }
}

void ClosedLoop::Send(Caller& caller, Queue& queue) {
  caller.context.emplace();
  caller.context->set_deadline(std::chrono::system_clock::now() + kCallTimeout);
  caller.sent = Now();
  caller.reader = caller.stub.AsyncScore(&*caller.context, caller.request, &queue.completions);
  caller.reader->Finish(&caller.response, &caller.status, &caller);
}

void ClosedLoop::Count(const Caller& caller, absl::Time answered, Queue& queue) {
  queue.tally.requests += window_.PartOf(caller.sent, answered);
  if (answered < window_.begin || answered >= window_.end) return;
  queue.tally.latency_us.push_back(absl::ToDoubleMicroseconds(answered - caller.sent));
  queue.tally.batch_requests.push_back(
      static_cast<double>(caller.response.receipt().batch_requests()));
}

}  // namespace qkserve::bench
