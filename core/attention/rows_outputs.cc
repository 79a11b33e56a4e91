// What RowsPlan makes of masked scores: weights, context, top k.

#include <algorithm>
#include <vector>

#include "core/attention/block_product.h"
#include "core/attention/element_types.h"
#include "core/attention/key_mask.h"
#include "core/attention/online_softmax.h"
#include "core/attention/packed_kernel.h"
#include "core/attention/partial_rows.h"
#include "core/attention/rows_plan.h"
#include "core/attention/tile_scratch.h"
#include "core/attention/top_k.h"
#include "core/limits.h"

namespace qkserve {
namespace {

// The best entries of the rows of a block, each row's in an array of `top_k`.
struct TopKRows {
  TopKRows(std::byte* slot, int64_t rows)
      : sizes(reinterpret_cast<int64_t*>(slot)),
        entries(reinterpret_cast<TopEntry*>(slot + rows * static_cast<int64_t>(sizeof(int64_t)))) {}
  int64_t* sizes;
  TopEntry* entries;
};

std::byte* RowOf(const AttentionProblem& problem, const AttentionResults& results, int64_t row,
                 int64_t columns) {
  return results.result + row * columns * ElementBytes(problem.result_type);
}

}  // namespace

absl::Status RowsPlan::ComputeWeights(const Work& work) const {
  const bool in_place = work.problem.result_type == DataType::kFloat32;
  std::byte* const result = RowOf(work.problem, work.results, FirstRow(work.block), shape_.m);
  TileScratch scratch;
  float* weights = reinterpret_cast<float*>(result);
  if (!in_place) {
    const absl::StatusOr<float*> memory = scratch.Get(work.block.rows * shape_.m);
    if (!memory.ok()) return memory.status();
    weights = *memory;
  }
  const KeyRange attended = AttendedKeys(work);
  for (int64_t i = 0; i < work.block.rows; ++i) {
    float* const row = weights + i * shape_.m;
    std::fill(row, row + std::min(attended.begin, shape_.m), kNotAttended);
    std::fill(row + std::clamp(attended.end, std::min(attended.begin, shape_.m), shape_.m),
              row + shape_.m, kNotAttended);
  }
  for (int64_t key = attended.begin; key < attended.end; key += kStepKeys) {
    const int64_t count = std::min(kStepKeys, attended.end - key);
    absl::Status status = MaskedScores(work, key, count, weights + key, shape_.m);
    if (!status.ok()) return status;
  }
  for (int64_t i = 0; i < work.block.rows; ++i) {
    float* const row = weights + i * shape_.m;
    const float log_sum_exp = Softmax(row, shape_.m);
    if (work.results.log_sum_exp != nullptr) {
      work.results.log_sum_exp[FirstRow(work.block) + i] = log_sum_exp;
    }
  }
  if (!in_place) {
    ConvertFromFloat32(work.problem.result_type, weights, work.block.rows * shape_.m, result);
  }
  return absl::OkStatus();
}

template <class Reduce>
absl::Status RowsPlan::ForEachStep(const Work& work, const Reduce& reduce) const {
  TileScratch scratch;
  const absl::StatusOr<float*> scores = scratch.Get(RowsOfSlot() * kStepKeys);
  if (!scores.ok()) return scores.status();
  const KeyRange attended = AttendedKeys(work);
  for (int64_t key = attended.begin; key < attended.end; key += kStepKeys) {
    const int64_t count = std::min(kStepKeys, attended.end - key);
    absl::Status status = MaskedScores(work, key, count, *scores, kStepKeys);
    if (status.ok()) status = reduce(*scores, key, count);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

ContextRows RowsPlan::ContextOf(const Block& block, int64_t split, PartialRows& partials) const {
  return ContextIn(partials.Slot(block.index, split), partials.SeldomSlot(block.index, split));
}

absl::Status RowsPlan::ComputeContext(const Work& work, const ContextRows& state) const {
  const int64_t rows = work.block.rows;
  for (int64_t i = 0; i < rows; ++i) state.Row(i).Clear();
  const TensorView& values = *work.problem.values;
  const int64_t value_matrix = shape_.KeyMatrix(work.block.slice / shape_.slices_per_unit);
  return ForEachStep(work, [&](float* scores, int64_t key, int64_t count) {
    for (int64_t i = 0; i < rows; ++i) state.Row(i).Weigh(scores + i * kStepKeys, count);
    const int64_t value_index = (value_matrix * shape_.m + key) * dv_;
    AddWeightedPanels(scores, kStepKeys, rows,
                      {.type = values.data_type,
                       .data = values.data + value_index * ElementBytes(values.data_type),
                       .columns = dv_},
                      count, state.out(), dv_, state.infinities());
    return absl::OkStatus();
  });
}

void RowsPlan::MergeContext(const Work& work, PartialRows& partials) const {
  const ContextRows merged = ContextOf(work.block, 0, partials);
  for (int64_t split = 1; split < splits_; ++split) {
    const ContextRows next = ContextOf(work.block, split, partials);
    for (int64_t i = 0; i < work.block.rows; ++i) merged.Row(i).Merge(next.Row(i));
  }
  WriteContext(work, merged);
}

void RowsPlan::WriteContext(const Work& work, const ContextRows& state) const {
  for (int64_t i = 0; i < work.block.rows; ++i) {
    const int64_t row = FirstRow(work.block) + i;
    const float log_sum_exp =
        state.Row(i).Finish(work.problem.result_type, RowOf(work.problem, work.results, row, dv_));
    if (work.results.log_sum_exp != nullptr) work.results.log_sum_exp[row] = log_sum_exp;
  }
}

absl::Status RowsPlan::ComputeTopK(const Work& work, int64_t split, PartialRows* partials) const {
  const int64_t rows = work.block.rows;
  const std::vector<int64_t> ks(static_cast<size_t>(rows), top_k_);
  absl::StatusOr<TopRows> top = TopRows::Create(ks, work.keys.end - work.keys.begin);
  if (!top.ok()) return top.status();
  absl::Status status = ForEachStep(work, [&](const float* scores, int64_t key, int64_t count) {
    for (int64_t i = 0; i < rows; ++i) {
      top->rows[static_cast<size_t>(i)].Offer(scores + i * kStepKeys, count, key);
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  if (splits_ == 1) {
    WriteTopK(work, *top);
    return absl::OkStatus();
  }
  const TopKRows state(partials->Slot(work.block.index, split), RowsOfSlot());
  for (int64_t i = 0; i < rows; ++i) {
    TopK& best = top->rows[static_cast<size_t>(i)];
    state.sizes[i] = best.Select();
    std::copy_n(best.entries(), state.sizes[i], state.entries + i * top_k_);
  }
  return partials->IsLast(work.block.index) ? MergeTopK(work, *partials) : absl::OkStatus();
}

absl::Status RowsPlan::MergeTopK(const Work& work, PartialRows& partials) const {
  const std::vector<int64_t> ks(static_cast<size_t>(work.block.rows), top_k_);
  absl::StatusOr<TopRows> top = TopRows::Create(ks, shape_.m);
  if (!top.ok()) return top.status();
  for (int64_t split = 0; split < splits_; ++split) {
    const TopKRows next(partials.Slot(work.block.index, split), RowsOfSlot());
    for (int64_t i = 0; i < work.block.rows; ++i) {
      top->rows[static_cast<size_t>(i)].Merge(next.entries + i * top_k_, next.sizes[i]);
    }
  }
  WriteTopK(work, *top);
  return absl::OkStatus();
}

void RowsPlan::WriteTopK(const Work& work, TopRows& top) const {
  const int64_t columns = work.problem.top_k;
  for (int64_t i = 0; i < work.block.rows; ++i) {
    const int64_t row = FirstRow(work.block) + i;
    TopK& best = top.rows[static_cast<size_t>(i)];
    const int64_t size = best.Select();
    WriteTopEntries(best.entries(), size, unattended_.ColumnsOfRow(), work.problem.result_type,
                    RowOf(work.problem, work.results, row, columns),
                    work.results.indices + row * columns);
  }
}

}  // namespace qkserve
