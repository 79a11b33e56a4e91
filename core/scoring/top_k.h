#ifndef QKSERVE_CORE_SCORING_TOP_K_H_
#define QKSERVE_CORE_SCORING_TOP_K_H_

#include <cstddef>
#include <cstdint>

#include "core/kernels/row_kernels.h"
#include "qkserve/tensor.h"

namespace qkserve {

// True if `a` is ahead of `b`: the score of `a` is higher, or it is a number and the score of `b`
// is NaN. If both scores are equal, or both are NaN, the lower key is ahead.
bool IsAhead(const TopEntry& a, const TopEntry& b);

// Keeps the `k` best of the entries that are offered, in the caller's memory. Not thread-safe.
//
// Entries that may be among the best are gathered in the memory, in no order. When the memory is
// full, all entries but the k best are dropped. From then on, scores that are not above the worst
// of the k best are skipped. So the cost of an entry is constant, whatever the scores are: equal,
// ascending, all NaN.
class TopK {
 public:
  // Returns the number of entries for which the `k` best of `keys` keys need memory: 2k, but at
  // least k + 32 and at most `keys`. With 2k, the cost of dropping entries is constant for each
  // entry.
  static int64_t Room(int64_t k, int64_t keys);

  // `k` is at least 1. `entries` has Room(k, keys) places.
  TopK(TopEntry* entries, int64_t k, int64_t keys)
      : entries_(entries), k_(k), room_(Room(k, keys)) {}

  // Offers the scores of keys key, key + 1, ... These keys must be higher than the keys of earlier
  // calls. A score of -inf means that the key is not attended. Such a key is never kept.
  void Offer(const float* scores, int64_t count, int64_t key);

  // Offers the best entries of other keys, in any order. Offer must not be called after Merge.
  void Merge(const TopEntry* entries, int64_t count);

  // Drops all entries but the k best, which are then at entries(). Returns their number.
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

// Returns the predicted time to keep the `top_k` best of `m` keys in random order, and to write
// `columns` entries.
double TopKSeconds(int64_t top_k, int64_t m, int64_t columns);

// Sorts the `size` best entries of a row. Writes `columns` scores, as `type`, and `columns` keys.
// The places after the entries get scores of -inf and keys of -1.
void WriteTopEntries(TopEntry* entries, int64_t size, int64_t columns, DataType type,
                     std::byte* scores, int32_t* keys);

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_TOP_K_H_
