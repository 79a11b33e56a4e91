#include "core/scoring/score_mask.h"

#include <algorithm>

#include "core/kernels/element_conversion.h"
#include "core/kernels/row_kernels.h"

namespace qkserve {
namespace {

// Returns a + b, clamped to the range of int64.
int64_t Add(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return b < 0 ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
}

}  // namespace

ScoreMask::ScoreMask(const AttentionProblem& problem, const ScoreShape& shape)
    : problem_(problem), n_(shape.n), m_(shape.m), heads_(shape.heads) {
  if (!problem.mask.has_value()) return;
  const Shape& mask = problem.mask->shape;
  mask_keys_ = mask.back();
  // Returns the size of a dimension of the mask. `from_right` is 0 for the last dimension. The size
  // is 1 if the mask has fewer dimensions.
  const auto size = [&mask](size_t from_right) {
    return from_right < mask.size() ? mask[mask.size() - 1 - from_right] : 1;
  };
  const bool has_heads = shape.result.size() == 4;
  const int64_t queries = size(1);
  const int64_t heads = has_heads ? size(2) : 1;
  const int64_t batch = has_heads ? size(3) : size(2);
  query_stride_ = queries == 1 ? 0 : mask_keys_;
  head_stride_ = heads == 1 ? 0 : mask_keys_ * queries;
  batch_stride_ = batch == 1 ? 0 : mask_keys_ * queries * heads;
}

KeyRange ScoreMask::Range(int64_t slice, int64_t query) const {
  // Each sum is clamped to 64 bits. The window is added to the offset first, then the query. If the
  // first sum is clamped, the bound is on the correct side of [0, m), whatever query is added.
  KeyRange range = {0, m_};
  int64_t offset = problem_.offset;
  if (!problem_.key_lengths.empty()) {
    const int64_t length = problem_.key_lengths[static_cast<size_t>(slice / heads_)];
    range.end = std::min(range.end, length);
    offset = length - n_;
  }
  const auto attend_to = [&](int64_t last) { range.end = std::min(range.end, Add(last, 1)); };
  if (problem_.is_causal) attend_to(Add(offset, query));
  if (problem_.window_left >= 0) range.begin = Add(Add(offset, -problem_.window_left), query);
  if (problem_.window_right >= 0) attend_to(Add(Add(offset, problem_.window_right), query));
  if (problem_.mask.has_value()) range.end = std::min(range.end, mask_keys_);
  range.end = std::max(range.end, int64_t{0});
  range.begin = std::clamp(range.begin, int64_t{0}, range.end);
  return range;
}

void ScoreMask::ApplyStages(int64_t slice, int64_t query, int64_t key, int64_t count,
                            float* scores) const {
  const Output output = problem_.output;
  ScaleAndCap(problem_.scale, output == Output::kScores ? 0.0F : problem_.softcap, count, scores);
  if (output == Output::kScores || output == Output::kCapped) return;
  const KeyRange range = Range(slice, query);
  const int64_t begin = std::clamp(range.begin - key, int64_t{0}, count);
  const int64_t end = std::clamp(range.end - key, begin, count);
  std::fill(scores, scores + begin, kNotAttended);
  if (problem_.mask.has_value() && begin < end) {
    AddMask(slice, query, key + begin, end - begin, scores + begin);
  }
  std::fill(scores + end, scores + count, kNotAttended);
}

void ScoreMask::AddMask(int64_t slice, int64_t query, int64_t key, int64_t count,
                        float* scores) const {
  const int64_t first =
      slice / heads_ * batch_stride_ + slice % heads_ * head_stride_ + query * query_stride_ + key;
  const TensorView& mask = *problem_.mask;
  if (mask.data_type == DataType::kBool) {
    const std::byte* attend = mask.data + first;
    for (int64_t j = 0; j < count; ++j) {
      if (attend[j] == std::byte{0}) scores[j] = kNotAttended;
    }
    return;
  }
  constexpr int64_t kChunk = 256;
  float bias[kChunk];
  for (int64_t begin = 0; begin < count; begin += kChunk) {
    const int64_t size = std::min(kChunk, count - begin);
    ConvertToFloat32(mask.data_type, mask.data + (first + begin) * ElementBytes(mask.data_type),
                     size, bias);
    for (int64_t j = 0; j < size; ++j) {
      float& score = scores[begin + j];
      score = bias[j] == kNotAttended ? kNotAttended : score + bias[j];
    }
  }
}

}  // namespace qkserve
