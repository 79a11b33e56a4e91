#include "bench/serve.h"

#include <signal.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>

#include "absl/strings/str_cat.h"
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

// Writes `port` to a file for ChildServer. The file appears whole.
absl::Status WritePortFile(const std::string& path, int port) {
  const std::string part = path + ".part";
  std::ofstream file(part);
  file << port << '\n';
  file.close();
  if (!file || std::rename(part.c_str(), path.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
  }
  return absl::OkStatus();
}

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
  absl::Status written = WritePortFile(port_file, port);
  if (!written.ok()) return written;
  int signal = 0;
  sigwait(&termination, &signal);
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(2));
  return absl::OkStatus();
}

}  // namespace qkserve::bench
