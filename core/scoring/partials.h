#ifndef QKSERVE_CORE_SCORING_PARTIALS_H_
#define QKSERVE_CORE_SCORING_PARTIALS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "qkserve/buffer.h"

namespace qkserve {

// The partial results of blocks whose keys are cut into several parts. The results of a block are
// kept from the first call of Share until the last part of the block ends. Thread-safe. No part
// waits for another.
class Partials {
 public:
  // Memory of a block, aligned and uninitialised.
  struct Shared {
    Buffer state;
    Buffer seldom;  // takes memory only if it is written
  };
  // Returns the memory that all `parts` parts of a block share. The first call for a block
  // allocates the memory. RESOURCE_EXHAUSTED: there is no memory.
  absl::StatusOr<std::shared_ptr<Shared>> Share(int64_t block, int64_t parts, int64_t bytes,
                                                int64_t seldom_bytes);

  // Ends a part of the block. Called after Share. `found` has the results of the part. If other
  // parts have left results here, merge(these results) must merge them into `found`. Returns true
  // for the last part of the block. `found` then has the results of all parts. Otherwise `found`
  // stays here for the next part.
  bool HandOver(int64_t block, Buffer& found, absl::FunctionRef<void(std::byte* other)> merge);

 private:
  struct BlockState {
    std::shared_ptr<Shared> shared;
    Buffer left;  // results of ended parts; empty if a part has taken them or none has ended
    int64_t parts_left = 0;
  };

  Mutex mutex_;
  std::map<int64_t, BlockState> blocks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_PARTIALS_H_
