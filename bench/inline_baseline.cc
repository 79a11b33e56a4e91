#include "bench/inline_baseline.h"

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/mutex.h"
#include "bench/openblas.h"
#include "bench/serve.h"
#include "bench/tensors.h"
#include "qkserve/v1/scoring.grpc.pb.h"

namespace qkserve::bench {
namespace {

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
  return Sizes{.n = queries.shape(0), .m = keys.shape(0), .d = queries.shape(1)};
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
      v1::Tensor* const result = response->mutable_result();
      result->set_data_type(v1::FLOAT32);
      result->add_shape(sizes->n);
      result->add_shape(sizes->m);
      result->set_data(Filled(sizes->n * sizes->m * sizeof(float)));
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
    float* const scores = StartMatrix(v1::FLOAT32, sizes.n, sizes.m, response->mutable_result());
    const auto compute = [&] {
      ComputeScoresInOneCall(Floats(request.queries()).data(),
                             Floats(request.inline_().keys()).data(), scores, sizes);
    };
    if (calls_overlap_) return compute();
    MutexLock lock(&turn_);
    compute();
  }

  const bool calls_overlap_;
  Mutex turn_;
};

}  // namespace

absl::Status ServeInlineBaseline(Baseline baseline, int blas_threads,
                                 const std::string& port_file) {
  BlockTermination();
  SetBlasThreads(blas_threads);
  std::unique_ptr<grpc::Service> service;
  if (baseline == Baseline::kEcho) {
    service = std::make_unique<EchoService>();
  } else {
    service = std::make_unique<StockService>(/*calls_overlap=*/blas_threads == 1);
  }
  return ServeUntilTerminated({service.get()}, port_file);
}

}  // namespace qkserve::bench
