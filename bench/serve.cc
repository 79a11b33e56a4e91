#include "bench/serve.h"

#include <signal.h>

#include <chrono>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/whole_file.h"
#include "bench/openblas.h"

namespace qkserve::bench {
namespace {

class ScoringService final : public v1::ScoringService::CallbackService {
 public:
  explicit ScoringService(const Answer& answer) : answer_(answer) {}

  grpc::ServerUnaryReactor* Score(grpc::CallbackServerContext* context,
                                  const v1::ScoreRequest* request,
                                  v1::ScoreResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(answer_(*request, response));
    return reactor;
  }

 private:
  const Answer& answer_;
};

}  // namespace

absl::Status ServeUntilTerminated(const BaselineServer& baseline, const std::string& port_file) {
  sigset_t termination;
  sigemptyset(&termination);
  sigaddset(&termination, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &termination, nullptr);
  SetBlasThreads(baseline.blas_threads);
  ScoringService scoring(baseline.answer);
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.SetMaxReceiveMessageSize(-1);
  builder.SetMaxSendMessageSize(-1);
  builder.RegisterService(&scoring);
  if (baseline.key_sets != nullptr) builder.RegisterService(baseline.key_sets);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return absl::UnavailableError("cannot listen on 127.0.0.1");
  // The file is written whole, because a ChildServer polls for it.
  absl::Status written =
      WriteFileWhole(port_file, {absl::StrCat(port, "\n")}, IfIrreplaceable::kFail);
  if (!written.ok()) return written;
  int signal = 0;
  sigwait(&termination, &signal);
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(2));
  return absl::OkStatus();
}

}  // namespace qkserve::bench
