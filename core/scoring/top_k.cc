#include "core/scoring/top_k.h"

#include <algorithm>
#include <cmath>

#include "core/kernels/element_conversion.h"
#include "core/scoring/score_mask.h"

namespace qkserve {

bool IsAhead(const TopEntry& a, const TopEntry& b) {
  const bool a_is_nan = std::isnan(a.score);
  const bool b_is_nan = std::isnan(b.score);
  if (a_is_nan != b_is_nan) return b_is_nan;
  if (!a_is_nan && a.score != b.score) return a.score > b.score;
  return a.key < b.key;
}

int64_t TopK::Room(int64_t k, int64_t keys) {
  constexpr int64_t kMore = 32;
  static_assert(kMore >= kTakeStep);
  return std::min(k + std::max(k, kMore), keys);
}

int64_t TopK::Select() {
  if (size_ < k_ || (size_ == k_ && has_worst_)) return size_;
  std::nth_element(entries_, entries_ + k_ - 1, entries_ + size_, IsAhead);
  size_ = k_;
  has_worst_ = true;
  worst_ = entries_[k_ - 1];
  return size_;
}

void TopK::Offer(const float* scores, int64_t count, int64_t key) {
  int64_t j = 0;
  for (; j < count && !has_worst_; ++j) {
    if (scores[j] == kNotAttended) continue;
    // The memory is full here only if there are more keys than places. Select then drops entries.
    if (size_ == room_) Select();
    if (has_worst_) break;
    entries_[size_++] = {scores[j], static_cast<int32_t>(key + j)};
  }
  // Only scores above the limit are taken, because an equal score has a higher key and is behind.
  // Every number is ahead of NaN.
  while (j < count) {
    const float limit = std::isnan(worst_.score) ? kNotAttended : worst_.score;
    int64_t taken = 0;
    j += TakeAbove(limit, count - j, scores + j, key + j, room_ - size_, entries_ + size_, taken);
    size_ += taken;
    if (j < count) Select();
  }
}

void TopK::Merge(const TopEntry* entries, int64_t count) {
  for (int64_t j = 0; j < count; ++j) {
    if (has_worst_ && !IsAhead(entries[j], worst_)) continue;
    if (size_ == room_) Select();
    entries_[size_++] = entries[j];
  }
}

double TopKSeconds(int64_t top_k, int64_t m, int64_t columns) {
  constexpr double kColumnSeconds = 10e-9;
  constexpr double kKeepSeconds = 60e-9;
  // The expected number of keys that are among the best when they are offered.
  const double kept =
      static_cast<double>(top_k) *
      (1 + std::log1p(static_cast<double>(m) / static_cast<double>(std::max<int64_t>(top_k, 1))));
  return kColumnSeconds * static_cast<double>(columns) + kKeepSeconds * kept;
}

void WriteTopEntries(TopEntry* entries, int64_t size, int64_t columns, DataType type,
                     std::byte* scores, int32_t* keys) {
  std::sort(entries, entries + size, IsAhead);
  constexpr int64_t kChunk = 256;
  float chunk[kChunk];
  for (int64_t begin = 0; begin < columns; begin += kChunk) {
    const int64_t count = std::min(kChunk, columns - begin);
    for (int64_t j = 0; j < count; ++j) {
      const TopEntry entry = begin + j < size ? entries[begin + j] : TopEntry{kNotAttended, -1};
      chunk[j] = entry.score;
      keys[begin + j] = entry.key;
    }
    ConvertFromFloat32(type, chunk, count, scores + begin * ElementBytes(type));
  }
}

}  // namespace qkserve
