#include <map>
#include <optional>
#include <string>

#include "base/mutex.h"
#include "bench/baseline.h"
#include "bench/openblas.h"
#include "bench/serve.h"
#include "bench/tensors.h"

namespace qkserve::bench {
namespace {

std::optional<Sizes> SizesOf(const v1::ScoreRequest& request) {
  const v1::Tensor& queries = request.queries();
  const v1::Tensor& keys = request.inline_().keys();
  const auto has_data = [](const v1::Tensor& tensor) {
    return IsFloatMatrix(tensor) &&
           CheckMatrix(tensor, v1::FLOAT32, tensor.shape(0), tensor.shape(1)).ok();
  };
  if (!has_data(queries) || !has_data(keys) || queries.shape(1) != keys.shape(1)) {
    return std::nullopt;
  }
  return Sizes{.n = queries.shape(0), .m = keys.shape(0), .d = queries.shape(1)};
}

// Strings by size. Each is made once, so that only the first request of a size pays for it.
class FilledStrings {
 public:
  const std::string& Of(size_t bytes) {
    MutexLock lock(&mutex_);
    return filled_.try_emplace(bytes, bytes, '\1').first->second;
  }

 private:
  Mutex mutex_;
  std::map<size_t, std::string> filled_ ABSL_GUARDED_BY(mutex_);  // elements never move
};

}  // namespace

absl::Status ServeInlineBaseline(Baseline baseline, int blas_threads,
                                 const std::string& port_file) {
  FilledStrings filled;
  Mutex turn;
  const auto echo = [&](const Sizes& sizes, v1::Tensor* result) {
    result->set_data_type(v1::FLOAT32);
    result->add_shape(sizes.n);
    result->add_shape(sizes.m);
    // With generated code, a reply needs one copy of the bytes into the message.
    result->set_data(filled.Of(sizes.n * sizes.m * sizeof(float)));
  };
  const auto compute = [&](const v1::ScoreRequest& request, const Sizes& sizes,
                           v1::Tensor* result) {
    float* const scores = StartMatrix(v1::FLOAT32, sizes.n, sizes.m, result);
    const auto call = [&] {
      ComputeScoresInOneCall(Floats(request.queries()).data(),
                             Floats(request.inline_().keys()).data(), scores, sizes);
    };
    if (blas_threads == 1) return call();
    MutexLock lock(&turn);
    call();
  };
  const auto answer = [&](const v1::ScoreRequest& request, v1::ScoreResponse* response) {
    const std::optional<Sizes> sizes = SizesOf(request);
    if (!sizes) return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "not two matrices");
    if (baseline == Baseline::kEcho) {
      echo(*sizes, response->mutable_result());
    } else {
      compute(request, *sizes, response->mutable_result());
    }
    return grpc::Status::OK;
  };
  return ServeUntilTerminated({.answer = answer, .blas_threads = blas_threads}, port_file);
}

}  // namespace qkserve::bench
