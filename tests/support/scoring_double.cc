#include "tests/support/scoring_double.h"

#include <chrono>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "grpc/grpc.h"
#include "grpcpp/alarm.h"
#include "grpcpp/server_builder.h"

namespace qkserve {

class ScoringDouble::Service : public v1::ScoringService::CallbackService {
 public:
  explicit Service(Behaviour behaviour) : behaviour_(std::move(behaviour)) {}

  grpc::ServerUnaryReactor* Score(grpc::CallbackServerContext* context,
                                  const v1::ScoreRequest* request,
                                  v1::ScoreResponse* response) override {
    Answer answer = behaviour_(*request);
    *response = std::move(answer.response);
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    if (answer.delay <= absl::ZeroDuration()) {
      reactor->Finish(answer.status);
      return reactor;
    }
    auto* const alarm = new grpc::Alarm();
    MutexLock lock(&mutex_);
    waiting_.insert(alarm);
    alarm->Set(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(answer.delay),
               [this, alarm, reactor, status = answer.status](bool /*ok*/) {
                 {
                   MutexLock lock(&mutex_);
                   waiting_.erase(alarm);
                 }
                 reactor->Finish(status);
                 delete alarm;
               });
    return reactor;
  }

  // Answers all waiting calls, so that the server can end.
  void AnswerAll() {
    MutexLock lock(&mutex_);
    for (grpc::Alarm* const alarm : waiting_) alarm->Cancel();
  }

 private:
  const Behaviour behaviour_;
  Mutex mutex_;
  std::set<grpc::Alarm*> waiting_ ABSL_GUARDED_BY(mutex_);
};

ScoringDouble::ScoringDouble(Behaviour behaviour,
                             std::shared_ptr<grpc::ServerCredentials> credentials)
    : service_(std::make_unique<Service>(std::move(behaviour))) {
  // gRPC is never shut down, because a shutdown can take 10 s (gRPC 1.51).
  static const bool initialized = (grpc_init(), true);
  static_cast<void>(initialized);
  int port = 0;
  grpc::ServerBuilder builder;
  if (credentials == nullptr) credentials = grpc::InsecureServerCredentials();
  builder.AddListeningPort("127.0.0.1:0", credentials, &port);
  builder.RegisterService(service_.get());
  server_ = builder.BuildAndStart();
  address_ = absl::StrCat("127.0.0.1:", port);
}

ScoringDouble::~ScoringDouble() {
  service_->AnswerAll();
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
}

ScoringDouble::Behaviour Stalling(absl::Duration stall, absl::Duration period) {
  return [stall, period, begin = Clock::Monotonic()->Now()](const v1::ScoreRequest&) {
    const absl::Duration since = Clock::Monotonic()->Now() - begin;
    absl::Duration within;
    absl::IDivDuration(since, period, &within);
    ScoringDouble::Answer answer;
    answer.response.mutable_receipt()->set_batch_requests(1);
    if (within < stall) answer.delay = stall - within;
    return answer;
  };
}

}  // namespace qkserve
