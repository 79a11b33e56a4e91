#include "core/attention/top_k.h"

#include <algorithm>
#include <cmath>

#include "core/attention/element_types.h"
#include "core/attention/key_mask.h"
#include "core/attention/row_kernels.h"

namespace qkserve {

bool IsAhead(const TopEntry& a, const TopEntry& b) {
  const bool a_is_nan = std::isnan(a.score);
  const bool b_is_nan = std::isnan(b.score);
  if (a_is_nan != b_is_nan) return b_is_nan;
  if (!a_is_nan && a.score != b.score) return a.score > b.score;
  return a.key < b.key;
}

void TopK::Offer(const TopEntry& entry) {
  if (size_ < capacity_) {
    entries_[size_++] = entry;
    if (size_ == capacity_) std::make_heap(entries_, entries_ + size_, IsAhead);
    return;
  }
  if (!IsAhead(entry, entries_[0])) return;
  std::pop_heap(entries_, entries_ + size_, IsAhead);
  entries_[size_ - 1] = entry;
  std::push_heap(entries_, entries_ + size_, IsAhead);
}

void TopK::Offer(const float* scores, int64_t count, int64_t key) {
  for (int64_t j = 0; j < count; ++j) {
    // Most scores end here: below the worst that is kept.
    if (size_ == capacity_) {
      j += CountBelow(entries_[0].score, count - j, scores + j);
      if (j == count) return;
    }
    if (scores[j] == kNotAttended) continue;
    Offer({scores[j], static_cast<int32_t>(key + j)});
  }
}

double TopKSeconds(int64_t top_k, int64_t m, int64_t columns) {
  constexpr double kColumnSeconds = 10e-9;
  constexpr double kKeepSeconds = 60e-9;
  // The expected number of new bests.
  const double kept =
      static_cast<double>(top_k) *
      (1 + std::log1p(static_cast<double>(m) / static_cast<double>(std::max<int64_t>(top_k, 1))));
  return kColumnSeconds * static_cast<double>(columns) + kKeepSeconds * kept;
}

void WriteTopEntries(TopEntry* entries, int64_t size, int64_t columns, DataType type,
                     std::byte* scores, int32_t* keys) {
  std::sort(entries, entries + size, IsAhead);
  const int64_t bytes = ElementBytes(type);
  for (int64_t j = 0; j < columns; ++j) {
    const TopEntry entry = j < size ? entries[j] : TopEntry{kNotAttended, -1};
    ConvertFromFloat32(type, &entry.score, 1, scores + j * bytes);
    keys[j] = entry.key;
  }
}

}  // namespace qkserve
