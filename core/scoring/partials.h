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

// The partial results of blocks whose keys are cut into several parts. They are kept from the first
// part that begins to the last one that ends. Thread-safe. No part waits for another.
class Partials {
 public:
  // Memory of a block, aligned and uninitialised.
  struct Shared {
    Buffer state;
    Buffer seldom;  // takes memory only if it is written
  };
  // The memory that all `parts` parts of a block share. The first call for a block allocates it.
  // RESOURCE_EXHAUSTED: there is no memory.
  absl::StatusOr<std::shared_ptr<Shared>> Share(int64_t block, int64_t parts, int64_t bytes,
                                                int64_t seldom_bytes);

  // Ends a part of the block. Called after Share. `found` are the part's own results. If another
  // part has left its results, they are merged into `found` by merge(the other's). Returns true for
  // the last part of the block: `found` then has the results of all. Otherwise `found` is left here
  // for the next part.
  bool HandOver(int64_t block, Buffer& found, absl::FunctionRef<void(std::byte* other)> merge);

 private:
  struct BlockState {
    std::shared_ptr<Shared> shared;
    Buffer left;  // results of ended parts; empty if another part has taken them
    int64_t parts_left = 0;
  };

  Mutex mutex_;
  std::map<int64_t, BlockState> blocks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_PARTIALS_H_
