// How the tiles of a pass run.

#include <algorithm>

#include "core/attention/block_product.h"
#include "core/attention/element_types.h"
#include "core/key_sets/key_set_pass.h"
#include "core/limits.h"

namespace qkserve {

ContextRow KeySetPass::ContextOf(const Block& block, int64_t split, int64_t row) {
  const int64_t split_size =
      block.context_rows * padded_dv_ + PaddedColumns(2 * block.context_rows);
  double* const out =
      reinterpret_cast<double*>(context_.data()) + block.context_state + split * split_size;
  double* const max = out + block.context_rows * padded_dv_;
  return {.max = max[row],
          .sum = max[block.context_rows + row],
          .out = out + row * padded_dv_,
          .columns = *key_set_->layout().dv};
}

int64_t KeySetPass::TopCapacity(const Row& row, int64_t split_count) const {
  return std::min({row.request->problem.top_k, split_count * splits_.keys, key_set_->m()});
}

TopK KeySetPass::TopOf(const Row& row, int64_t first_split, int64_t split_count) {
  const int64_t split_entries = std::min(row.request->problem.top_k, splits_.keys);
  return {reinterpret_cast<TopEntry*>(entries_.data()) + row.state + first_split * split_entries,
          TopCapacity(row, split_count),
          reinterpret_cast<const int64_t*>(sizes_.data())[row.sizes + first_split]};
}

float* KeySetPass::WeightsOf(const Row& row, int64_t key) {
  if (row.request->problem.result_type == DataType::kFloat32) {
    return reinterpret_cast<float*>(row.request->results.result) + row.result_row * key_set_->m() +
           key;
  }
  return reinterpret_cast<float*>(weights_.data()) + row.state + key;
}

KeyRange KeySetPass::AttendedKeys(const Block& block) const {
  KeyRange keys = {key_set_->m(), 0};
  for (int64_t i = 0; i < block.rows; ++i) {
    const Row& row = rows_[static_cast<size_t>(block.first_row + i)];
    if (WantsAllScores(row.request->problem)) return {0, key_set_->m()};
    const KeyRange range = row.mask->Range(row.slice, row.query);
    if (range.end <= range.begin) continue;
    keys.begin = std::min(keys.begin, range.begin);
    keys.end = std::max(keys.end, range.end);
  }
  return keys;
}

absl::Status KeySetPass::RunTile(int64_t tile) {
  auto block = std::partition_point(blocks_.begin(), blocks_.end(), [tile](const Block& b) {
    return b.first_tile + b.tiles <= tile;
  });
  absl::Status status;
  for (; block != blocks_.end() && block->first_tile <= tile && status.ok(); ++block) {
    status = RunPart(*block, tile - block->first_tile);
  }
  return status;
}

absl::Status KeySetPass::RunPart(Block& block, int64_t part) {
  const int64_t first_split = part * splits_.count / block.tiles;
  const int64_t end_split = (part + 1) * splits_.count / block.tiles;
  const int64_t d = key_set_->layout().d;
  thread_local Scratch kept;
  Scratch large;  // a long row is not kept
  const absl::StatusOr<float*> queries =
      (block.rows * d > 2 * kBlockElements ? large : kept).Get(block.rows * d);
  if (!queries.ok()) return queries.status();
  for (int64_t i = 0; i < block.rows; ++i) {
    const Row& row = rows_[static_cast<size_t>(block.first_row + i)];
    const TensorView& from = row.request->problem.queries;
    if (d > 0) {
      ConvertToFloat32(from.data_type, from.data + row.query_row * d * ElementBytes(from.data_type),
                       d, *queries + i * d);
    }
    if (row.request->problem.output == Output::kTopK) {
      reinterpret_cast<int64_t*>(sizes_.data())[row.sizes + first_split] = 0;
    }
  }
  const Work work = {.block = block,
                     .first_split = first_split,
                     .split_count = end_split - first_split,
                     .queries = *queries,
                     .attended = AttendedKeys(block)};
  for (int64_t split = first_split; split < end_split; ++split) {
    absl::Status status = RunSplit(work, split);
    if (!status.ok()) return status;
  }
  if (block.tiles_left.fetch_sub(1, std::memory_order_acq_rel) == 1) FinishBlock(block);
  return absl::OkStatus();
}

absl::Status KeySetPass::RunSplit(const Work& work, int64_t split) {
  thread_local Scratch scratch;
  const absl::StatusOr<float*> memory = scratch.Get(work.block.rows * kStepKeys);
  if (!memory.ok()) return memory.status();
  float* const scores = *memory;
  for (int64_t i = 0; i < work.block.context_rows; ++i) ContextOf(work.block, split, i).Clear();

  const int64_t split_end = std::min((split + 1) * splits_.keys, key_set_->m());
  const int64_t begin = std::max(split * splits_.keys, work.attended.begin / kStepKeys * kStepKeys);
  // Whole steps: how a row is summed must not depend on what others of the block attend.
  const int64_t end = std::min(split_end, CeilDivide(work.attended.end, kStepKeys) * kStepKeys);
  for (int64_t key = begin; key < end; key += kStepKeys) {
    const int64_t count = std::min(kStepKeys, end - key);
    const int64_t first_panel = key / kPanelKeys;
    const int64_t panels = CeilDivide(count, kPanelKeys);
    for (int64_t panel = 0; panel < panels;) {
      const PanelRun run = key_set_->Panels(work.block.matrix, first_panel + panel, panels - panel);
      MultiplyPanels(work.queries, work.block.rows, run.keys, scores + panel * kPanelKeys,
                     kStepKeys);
      panel += run.keys.count;
    }
    for (int64_t i = 0; i < work.block.rows; ++i) {
      const Row& row = rows_[static_cast<size_t>(work.block.first_row + i)];
      float* const row_scores = scores + i * kStepKeys;
      row.mask->ToStage(row.slice, row.query, key, count, row_scores);
      if (i < work.block.context_rows) {
        ContextOf(work.block, split, i).Weigh(row_scores, count);
      } else {
        Reduce(work, row, key, count, row_scores);
      }
    }
    if (work.block.context_rows == 0) continue;
    double* const out = ContextOf(work.block, split, 0).out;
    for (int64_t panel = 0; panel < panels;) {
      const PanelRun run = key_set_->Panels(work.block.matrix, first_panel + panel, panels - panel);
      const int64_t keys = std::min(run.keys.count * kPanelKeys, count - panel * kPanelKeys);
      AddWeightedPanels(scores + panel * kPanelKeys, kStepKeys, work.block.context_rows, run.values,
                        keys, out, padded_dv_);
      panel += run.keys.count;
    }
  }
  return absl::OkStatus();
}

void KeySetPass::Reduce(const Work& work, const Row& row, int64_t key, int64_t count,
                        float* scores) {
  const AttentionProblem& problem = row.request->problem;
  if (problem.output == Output::kTopK) {
    TopK best = TopOf(row, work.first_split, work.split_count);
    best.Offer(scores, count, key);
    reinterpret_cast<int64_t*>(sizes_.data())[row.sizes + work.first_split] = best.size();
  } else if (problem.output == Output::kWeights) {
    std::copy(scores, scores + count, WeightsOf(row, key));
  } else {
    ConvertFromFloat32(problem.result_type, scores, count,
                       row.request->results.result + (row.result_row * key_set_->m() + key) *
                                                         ElementBytes(problem.result_type));
  }
}

void KeySetPass::FinishBlock(const Block& block) {
  for (int64_t i = 0; i < block.rows; ++i) {
    const Row& row = rows_[static_cast<size_t>(block.first_row + i)];
    const AttentionProblem& problem = row.request->problem;
    const AttentionResults& results = row.request->results;
    const int64_t bytes = ElementBytes(problem.result_type);
    float log_sum_exp = 0.0F;
    if (problem.output == Output::kTopK) {
      FinishTopK(block, row);
    } else if (problem.output == Output::kContext) {
      const int64_t dv = *key_set_->layout().dv;
      const ContextRow context = ContextOf(block, 0, i);
      for (int64_t split = 1; split < splits_.count; ++split) {
        context.Merge(ContextOf(block, split, i));
      }
      log_sum_exp =
          context.Finish(problem.result_type, results.result + row.result_row * dv * bytes);
    } else if (problem.output == Output::kWeights) {
      const int64_t m = key_set_->m();
      float* const weights = WeightsOf(row, 0);
      log_sum_exp = Softmax(weights, m);
      if (problem.result_type != DataType::kFloat32 && m > 0) {
        ConvertFromFloat32(problem.result_type, weights, m,
                           results.result + row.result_row * m * bytes);
      }
    }
    if (results.log_sum_exp != nullptr) results.log_sum_exp[row.result_row] = log_sum_exp;
  }
}

void KeySetPass::FinishTopK(const Block& block, const Row& row) {
  const AttentionProblem& problem = row.request->problem;
  const auto* const sizes = reinterpret_cast<const int64_t*>(sizes_.data()) + row.sizes;
  auto* const entries = reinterpret_cast<TopEntry*>(entries_.data()) + row.state;
  const int64_t split_entries = std::min(problem.top_k, splits_.keys);
  // All splits' room is there for the best of all.
  TopK best(entries, TopCapacity(row, splits_.count), sizes[0]);
  for (int64_t part = 1; part < block.tiles; ++part) {
    const int64_t split = part * splits_.count / block.tiles;
    const TopEntry* const next = entries + split * split_entries;
    for (int64_t j = 0; j < sizes[split]; ++j) best.Offer(next[j]);
  }
  WriteTopEntries(entries, best.size(), problem.top_k, problem.result_type,
                  row.request->results.result +
                      row.result_row * problem.top_k * ElementBytes(problem.result_type),
                  row.request->results.indices + row.result_row * problem.top_k);
}

}  // namespace qkserve
