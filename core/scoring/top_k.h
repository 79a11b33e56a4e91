#ifndef QKSERVE_CORE_SCORING_TOP_K_H_
#define QKSERVE_CORE_SCORING_TOP_K_H_

#include <cstddef>
#include <cstdint>

#include "core/kernels/row_kernels.h"
#include "qkserve/tensor.h"

namespace qkserve {

// True if `a` is ahead of `b`: its score is higher, or it is a number and `b` NaN. Of equal scores
// the lower key is ahead.
bool IsAhead(const TopEntry& a, const TopEntry& b);

// The `k` best entries of those offered, in memory of the caller. Not thread-safe.
//
// Entries that may be among the best are gathered in the memory, in no order. When it is full, all
// but the k best are dropped. From then on, scores that are not above the worst of these are passed
// over. So an entry costs a constant, whatever the scores are: equal, ascending, all NaN.
class TopK {
 public:
  // Entries of memory for the `k` best of `keys` keys. It is twice k, so that dropping entries
  // costs each of them a constant, but not less than some vectors.
  static int64_t Room(int64_t k, int64_t keys);

  // `k` is at least 1. `entries` has Room(k, keys) places.
  TopK(TopEntry* entries, int64_t k, int64_t keys)
      : entries_(entries), k_(k), room_(Room(k, keys)) {}

  // Offers the scores of keys key, key + 1, ... These keys must be above those of earlier calls. A
  // score of -inf means that the key is not attended; it is never kept.
  void Offer(const float* scores, int64_t count, int64_t key);

  // Offers the best entries of other keys, in any order. Offer must not be called after it.
  void Merge(const TopEntry* entries, int64_t count);

  // Drops all but the k best. Returns their number. They are at entries().
  int64_t Select();
  TopEntry* entries() const { return entries_; }

 private:
  TopEntry* entries_;
  int64_t k_;
  int64_t room_;
  int64_t size_ = 0;
  bool has_worst_ = false;
  TopEntry worst_ = {};  // the worst of the k best when they were last selected, if has_worst_
};

// The predicted time to keep the `top_k` best of `m` keys in any order, and to write `columns`
// entries.
double TopKSeconds(int64_t top_k, int64_t m, int64_t columns);

// Sorts a row's best entries. Writes `columns` scores, as `type`, and keys. Beyond `size` entries
// it writes -inf and -1.
void WriteTopEntries(TopEntry* entries, int64_t size, int64_t columns, DataType type,
                     std::byte* scores, int32_t* keys);

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_TOP_K_H_
