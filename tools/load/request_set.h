#ifndef QKSERVE_TOOLS_LOAD_REQUEST_SET_H_
#define QKSERVE_TOOLS_LOAD_REQUEST_SET_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "grpcpp/support/byte_buffer.h"
#include "qkserve/key_set.h"
#include "qkserve/tensor.h"
#include "tools/load/workload.h"

namespace qkserve {

// The serialised requests of a load. There is a request for each payload and key set, or for each
// payload if keys are inline.
struct RequestSet {
  struct Request {
    grpc::ByteBuffer bytes;  // a qkserve.v1.ScoreRequest
    int key_set = 0;
    int payload = 0;
  };

  std::vector<Request> requests;  // grouped by key set
  int payloads = 0;
  std::vector<std::string> key_sets;  // names, for metadata; empty if keys are inline
  double zipf = 0;
};

struct RequestSetOptions {
  LoadWorkload workload;
  std::vector<KeySetReference> key_sets;  // empty if keys are inline
  int payloads_max = 64;                  // fewer if memory is short
  uint64_t seed = 1;

  // Tensors that replace random ones. Each payload takes the next n rows of the queries [rows, d].
  // After the last row, row 0 follows. Keys [m, d] and values [m, dv] are for inline keys.
  std::optional<TensorView> queries = std::nullopt;
  std::optional<TensorView> keys = std::nullopt;
  std::optional<TensorView> values = std::nullopt;
};

// Makes the requests. The same options give the same requests. RESOURCE_EXHAUSTED: out of memory.
absl::StatusOr<RequestSet> BuildRequestSet(const RequestSetOptions& options);

// Chooses the next request. Payloads come in turn, and key sets at random. Each sender has its own
// picker.
//
// Thread-compatible.
class RequestPicker {
 public:
  // `set` must outlive this object.
  RequestPicker(const RequestSet* set, int sender, int senders, uint64_t seed);

  size_t Next();

 private:
  const RequestSet* const set_;
  const size_t step_;
  size_t payload_;
  std::mt19937_64 random_;
  std::discrete_distribution<size_t> key_set_;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_REQUEST_SET_H_
