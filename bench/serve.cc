#include "bench/serve.h"

#include <signal.h>

#include <chrono>
#include <memory>

#include "bench/child_process.h"

namespace qkserve::bench {
namespace {

sigset_t Termination() {
  sigset_t termination;
  sigemptyset(&termination);
  sigaddset(&termination, SIGTERM);
  return termination;
}

}  // namespace

void BlockTermination() {
  const sigset_t termination = Termination();
  pthread_sigmask(SIG_BLOCK, &termination, nullptr);
}

absl::Status ServeUntilTerminated(absl::Span<grpc::Service* const> services,
                                  const std::string& port_file) {
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.SetMaxReceiveMessageSize(-1);
  builder.SetMaxSendMessageSize(-1);
  for (grpc::Service* service : services) builder.RegisterService(service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return absl::UnavailableError("cannot listen on 127.0.0.1");
  absl::Status written = WritePortFile(port_file, port);
  if (!written.ok()) return written;

  const sigset_t termination = Termination();
  int signal = 0;
  sigwait(&termination, &signal);
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(2));
  return absl::OkStatus();
}

}  // namespace qkserve::bench
