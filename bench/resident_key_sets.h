#ifndef QKSERVE_BENCH_RESIDENT_KEY_SETS_H_
#define QKSERVE_BENCH_RESIDENT_KEY_SETS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "qkserve/v1/key_set.grpc.pb.h"

namespace qkserve::bench {

// Keys and values as they arrived: float32, row-major.
struct RowMajorKeySet {
  int64_t m = 0;
  int64_t d = 0;
  int64_t dv = 0;             // 0: no values
  std::vector<float> keys;    // [m, d]
  std::vector<float> values;  // [m, dv]
};

// Key sets in memory, by name. Serves KeySetService.PutKeySet for float32 of rank 2, with generated
// code. Thread-safe.
class RowMajorKeySets final : public v1::KeySetService::CallbackService {
 public:
  grpc::ServerReadReactor<v1::PutKeySetRequest>* PutKeySet(
      grpc::CallbackServerContext* context, v1::PutKeySetResponse* response) override;

  void Put(const std::string& name, std::shared_ptr<const RowMajorKeySet> key_set);
  // Returns the key set `name`, or null if there is none.
  std::shared_ptr<const RowMajorKeySet> Find(const std::string& name) const;

 private:
  mutable Mutex mutex_;
  std::map<std::string, std::shared_ptr<const RowMajorKeySet>> by_name_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_RESIDENT_KEY_SETS_H_
