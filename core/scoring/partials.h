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

// Partial results of the blocks whose keys are cut into several parts, from the first part that
// begins to the last one that ends. Thread-safe; no part waits for another.
class Partials {
 public:
  // Memory of a block that is aligned and uninitialised.
  struct Shared {
    Buffer state;
    Buffer seldom;  // takes memory only where it is written
  };
  // The memory that all `parts` parts of a block share, which the first caller allocates.
  // RESOURCE_EXHAUSTED: there is none.
  absl::StatusOr<std::shared_ptr<Shared>> Share(int64_t block, int64_t parts, int64_t bytes,
                                                int64_t seldom_bytes);

  // A part of the block has ended, after Share, with `found` of its own. It takes over what another
  // part has left, by merge(what the other found), and leaves the sum for the next one. True for
  // the last part of the block, which keeps what all have found.
  bool HandOver(int64_t block, Buffer& found, absl::FunctionRef<void(std::byte* other)> merge);

 private:
  struct BlockState {
    std::shared_ptr<Shared> shared;
    Buffer left;  // what a part that has ended has found; empty: another part has taken it over
    int64_t parts_left = 0;
  };

  Mutex mutex_;
  std::map<int64_t, BlockState> blocks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_PARTIALS_H_
