#ifndef QKSERVE_CORE_ATTENTION_TOP_K_H_
#define QKSERVE_CORE_ATTENTION_TOP_K_H_

#include <cstddef>
#include <cstdint>

#include "core/tensor.h"

namespace qkserve {

// A score and its key.
struct TopEntry {
  float score;
  int32_t key;
};

// Whether `a` is ahead of `b`: the higher score, any number before NaN, equals by lower key.
bool IsAhead(const TopEntry& a, const TopEntry& b);

// The best entries of those offered, in memory of the caller: which ones does not depend on the
// order of the offers. In no order until they are sorted by IsAhead. Not thread-safe.
class TopK {
 public:
  // Memory for `capacity` entries, at least 1, of which `size` are there from another TopK.
  TopK(TopEntry* entries, int64_t capacity, int64_t size)
      : entries_(entries), capacity_(capacity), size_(size) {}

  // Offers scores of keys key, key + 1, ...; -inf is not attended and never kept.
  void Offer(const float* scores, int64_t count, int64_t key);
  void Offer(const TopEntry& entry);

  int64_t size() const { return size_; }

 private:
  // A heap with the worst entry on top, once it is full.
  TopEntry* const entries_;
  const int64_t capacity_;
  int64_t size_;
};

// About what it takes to keep the `top_k` best of `m` keys in any order, and to write `columns`
// entries.
double TopKSeconds(int64_t top_k, int64_t m, int64_t columns);

// Sorts a row's best entries and writes `columns` scores, as `type`, and keys; beyond `size`
// entries -inf and -1.
void WriteTopEntries(TopEntry* entries, int64_t size, int64_t columns, DataType type,
                     std::byte* scores, int32_t* keys);

}  // namespace qkserve

#endif  // QKSERVE_CORE_ATTENTION_TOP_K_H_
