#ifndef QKSERVE_TOOLS_LOAD_VERIFIER_H_
#define QKSERVE_TOOLS_LOAD_VERIFIER_H_

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "grpcpp/support/byte_buffer.h"
#include "qkserve/key_set.h"
#include "qkserve/v1/scoring.pb.h"
#include "tools/load/answer_check.h"
#include "tools/load/request_set.h"

namespace qkserve {

// The contents of a key set, as the values that the server computes with.
struct KnownKeySet {
  FloatMatrix keys;
  std::optional<FloatMatrix> values;
};

// Reads a source of rank 2 and rounds its elements to `storage`, or to the source's type if
// `storage` is not set. RESOURCE_EXHAUSTED: the matrix is too large to be checked. Other errors are
// the source's.
absl::StatusOr<FloatMatrix> ReadMatrix(const TensorSource& source, std::optional<DataType> storage);

// Checks answers on its own thread. While the load runs, the thread takes at most a quarter of a
// core, so it checks only a sample of the replies. Each reply must have the same bits as the first
// reply to the same request with the same kernel and version of the key set. If the keys are known,
// one row of each reply is computed in float64 and compared.
//
// Any thread may call Offer.
class Verifier {
 public:
  struct Result {
    int64_t rows = 0;        // rows that were computed
    int64_t duplicates = 0;  // replies compared with an earlier one
    int64_t wrong = 0;
    absl::Status first_wrong;  // names the request, the row, the key and the values
  };

  // `requests` must outlive this object. `key_sets` is in the order of `requests->key_sets`. It is
  // empty if keys are inline or not known. If keys are not known, replies are only compared with
  // each other.
  Verifier(const RequestSet* requests, std::vector<KnownKeySet> key_sets, const Clock* clock);
  Verifier(const Verifier&) = delete;
  Verifier& operator=(const Verifier&) = delete;
  ~Verifier();

  // Offers a reply to be checked and keeps references to its bytes. Drops the reply if enough
  // replies wait. Does not block.
  void Offer(int64_t sequence, size_t request, const grpc::ByteBuffer& reply);

  // Ends the checking and returns what was found. If `check_rest` is true, first checks the replies
  // that wait. Call it once. Blocks until the thread has ended.
  Result Finish(bool check_rest = true);

 private:
  struct Sample {
    int64_t sequence;
    size_t request;
    grpc::ByteBuffer reply;
  };
  // Replies with the same request, key set version and kernel must agree.
  using SameAnswer = std::tuple<size_t, int64_t, std::string>;

  void Run();
  std::optional<Sample> Take();
  void Check(const Sample& sample);
  void CheckDuplicate(const Sample& sample, const v1::ScoreResponse& response);
  absl::Status CheckRow(const Sample& sample, const v1::ScoreResponse& response);
  void Wrong(const Sample& sample, const absl::Status& problem);

  const RequestSet* const requests_;
  const std::vector<KnownKeySet> key_sets_;
  const Clock* const clock_;

  // Only the verifying thread uses these three members until it ends.
  std::map<SameAnswer, std::string> first_replies_;
  int64_t first_replies_bytes_ = 0;
  Result result_;

  Mutex mutex_;
  CondVar changed_;
  std::deque<Sample> samples_ ABSL_GUARDED_BY(mutex_);
  int64_t samples_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool finish_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_VERIFIER_H_
