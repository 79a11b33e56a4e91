#include "bench/baseline_server.h"

#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "bench/child_process.h"
#include "bench/openblas.h"
#include "core/mutex.h"
#include "qkserve/v1/scoring.grpc.pb.h"

namespace qkserve::bench {
namespace {

struct Sizes {
  int64_t n;
  int64_t m;
  int64_t d;
};

bool IsMatrix(const v1::Tensor& tensor) {
  return tensor.data_type() == v1::FLOAT32 && tensor.shape_size() == 2 && tensor.shape(0) > 0 &&
         tensor.shape(1) > 0 &&
         static_cast<double>(tensor.data().size()) ==
             4.0 * static_cast<double>(tensor.shape(0)) * static_cast<double>(tensor.shape(1));
}

std::optional<Sizes> SizesOf(const v1::ScoreRequest& request) {
  const v1::Tensor& queries = request.queries();
  const v1::Tensor& keys = request.inline_().keys();
  if (!IsMatrix(queries) || !IsMatrix(keys) || queries.shape(1) != keys.shape(1)) {
    return std::nullopt;
  }
  return Sizes{queries.shape(0), keys.shape(0), queries.shape(1)};
}

// The reply without its elements.
v1::Tensor* StartResult(const Sizes& sizes, v1::ScoreResponse* response) {
  v1::Tensor* result = response->mutable_result();
  result->set_data_type(v1::FLOAT32);
  result->add_shape(sizes.n);
  result->add_shape(sizes.m);
  return result;
}

class EchoService final : public v1::ScoringService::CallbackService {
 public:
  grpc::ServerUnaryReactor* Score(grpc::CallbackServerContext* context,
                                  const v1::ScoreRequest* request,
                                  v1::ScoreResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const std::optional<Sizes> sizes = SizesOf(*request);
    if (sizes) {
      // Generated code cannot reply without one copy of the bytes into the message.
      StartResult(*sizes, response)->set_data(Filled(sizes->n * sizes->m * sizeof(float)));
    }
    reactor->Finish(sizes ? grpc::Status::OK
                          : grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "not two matrices"));
    return reactor;
  }

 private:
  // The same string for the same size, so that making it is not part of a request.
  const std::string& Filled(size_t bytes) {
    MutexLock lock(&mutex_);
    const auto found = filled_.find(bytes);
    if (found != filled_.end()) return found->second;
    return filled_.emplace(bytes, std::string(bytes, '\1')).first->second;
  }

  Mutex mutex_;
  std::map<size_t, std::string> filled_ ABSL_GUARDED_BY(mutex_);  // elements never move
};

class StockService final : public v1::ScoringService::CallbackService {
 public:
  explicit StockService(bool calls_overlap) : calls_overlap_(calls_overlap) {}

  grpc::ServerUnaryReactor* Score(grpc::CallbackServerContext* context,
                                  const v1::ScoreRequest* request,
                                  v1::ScoreResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const std::optional<Sizes> sizes = SizesOf(*request);
    if (sizes) Compute(*request, *sizes, response);
    reactor->Finish(sizes ? grpc::Status::OK
                          : grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "not two matrices"));
    return reactor;
  }

 private:
  void Compute(const v1::ScoreRequest& request, const Sizes& sizes, v1::ScoreResponse* response) {
    std::string* data = StartResult(sizes, response)->mutable_data();
    data->resize(static_cast<size_t>(sizes.n * sizes.m) * sizeof(float));
    const auto compute = [&] {
      ComputeScoresInOneCall(reinterpret_cast<const float*>(request.queries().data().data()),
                             reinterpret_cast<const float*>(request.inline_().keys().data().data()),
                             reinterpret_cast<float*>(data->data()), sizes.n, sizes.m, sizes.d);
    };
    if (calls_overlap_) return compute();
    MutexLock lock(&turn_);
    compute();
  }

  const bool calls_overlap_;
  Mutex turn_;
};

}  // namespace

absl::Status ServeBaseline(Baseline baseline, int blas_threads, const std::string& port_file) {
  sigset_t termination;
  sigemptyset(&termination);
  sigaddset(&termination, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &termination, nullptr);

  SetBlasThreads(blas_threads);
  std::unique_ptr<grpc::Service> service;
  if (baseline == Baseline::kEcho) {
    service = std::make_unique<EchoService>();
  } else {
    service = std::make_unique<StockService>(/*calls_overlap=*/blas_threads == 1);
  }
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.SetMaxReceiveMessageSize(-1);
  builder.SetMaxSendMessageSize(-1);
  builder.RegisterService(service.get());
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
