#include "core/key_sets/key_set_pass.h"

#include <algorithm>
#include <new>
#include <utility>

#include "core/attention/block_product.h"
#include "core/attention/element_types.h"
#include "core/attention/rows_plan.h"
#include "core/limits.h"

namespace qkserve {
namespace {

bool IsContext(const KeySetRequest& request) { return request.problem.output == Output::kContext; }

// Whether every score of a row is wanted, attended or not.
bool WantsAllScores(const AttentionProblem& problem) {
  return problem.output != Output::kContext && problem.output != Output::kTopK;
}

}  // namespace

KeySetPass::KeySetPass(std::shared_ptr<const KeySet> key_set)
    : key_set_(std::move(key_set)),
      splits_(SplitKeys(key_set_->layout(), key_set_->m())),
      padded_dv_(PaddedColumns(key_set_->layout().dv.value_or(0))) {}

absl::StatusOr<std::unique_ptr<KeySetPass>> KeySetPass::Create(
    std::shared_ptr<const KeySet> key_set, absl::Span<const KeySetRequest* const> requests) {
  std::unique_ptr<KeySetPass> pass(new KeySetPass(std::move(key_set)));
  try {
    pass->AddRows(requests);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory for the rows of a pass");
  }
  absl::Status status = pass->AllocateState();
  if (!status.ok()) return status;
  return pass;
}

void KeySetPass::AddRows(absl::Span<const KeySetRequest* const> requests) {
  int64_t count = 0;
  for (const KeySetRequest* request : requests) {
    if (request->shape.units > 0) count += request->shape.Rows();
  }
  rows_.reserve(static_cast<size_t>(count));
  // Context rows first: their weights are then one matrix.
  for (const bool is_context : {true, false}) {
    for (const KeySetRequest* request : requests) {
      if (IsContext(*request) == is_context) AddRowsOf(*request);
    }
  }
  const auto by_matrix = [](const Row& a, const Row& b) { return a.matrix < b.matrix; };
  if (key_set_->layout().Matrices() > 1) std::stable_sort(rows_.begin(), rows_.end(), by_matrix);
  // Queries of a block and their context stay in the cache.
  const auto rows_max = static_cast<size_t>(
      std::clamp(kBlockElements / std::max<int64_t>(key_set_->layout().d + padded_dv_, 1),
                 int64_t{1}, kBlockRows));
  for (size_t first = 0; first < rows_.size();) {
    size_t end = first;
    while (end < rows_.size() && end - first < rows_max &&
           rows_[end].matrix == rows_[first].matrix) {
      ++end;
    }
    AddBlock(rows_[first].matrix, static_cast<int64_t>(first), static_cast<int64_t>(end - first));
    first = end;
  }
  // Nothing to do is done by one tile.
  tile_count_ = std::max<int64_t>(tile_count_, 1);
}

void KeySetPass::AddRowsOf(const KeySetRequest& request) {
  const ScoreShape& shape = request.shape;
  if (shape.m == 0 && !WantsAllScores(request.problem)) {
    const bool is_context = IsContext(request);
    FillUnattended(request.problem, shape.Rows(),
                   is_context ? *key_set_->layout().dv : request.problem.top_k, request.results);
  }
  // Weights of no keys are nothing, but they have a sum.
  if (shape.m == 0 && request.problem.output == Output::kWeights &&
      request.results.log_sum_exp != nullptr) {
    std::fill_n(request.results.log_sum_exp, shape.Rows(), kNotAttended);
  }
  const KeyMask& mask = masks_.emplace_back(request.problem, shape);
  for (int64_t unit = 0; unit < shape.units; ++unit) {
    for (int64_t i = 0; i < shape.UnitRows(); ++i) {
      const int64_t result_row = unit * shape.UnitRows() + i;
      rows_.push_back({.matrix = shape.KeyMatrix(unit),
                       .request = &request,
                       .mask = &mask,
                       .slice = result_row / shape.n,
                       .query = result_row % shape.n,
                       .query_row = shape.QueryMatrix(unit) * shape.n + i,
                       .result_row = result_row});
    }
  }
}

void KeySetPass::AddBlock(int64_t matrix, int64_t first_row, int64_t rows) {
  Block& block = blocks_.emplace_back();
  block.matrix = matrix;
  block.first_row = first_row;
  block.rows = rows;
  for (int64_t i = 0; i < rows; ++i) {
    Row& row = rows_[static_cast<size_t>(first_row + i)];
    const AttentionProblem& problem = row.request->problem;
    if (problem.output == Output::kContext) {
      ++block.context_rows;
    } else if (problem.output == Output::kTopK) {
      row.state = std::exchange(
          top_entries_, top_entries_ + splits_.count * std::min(problem.top_k, splits_.keys));
      row.sizes = std::exchange(top_sizes_, top_sizes_ + splits_.count);
    } else if (problem.output == Output::kWeights && problem.result_type != DataType::kFloat32) {
      row.state = std::exchange(weight_floats_, weight_floats_ + key_set_->m());
    }
  }
  // Aligned: a multiple of 16 floats each.
  block.context_state = std::exchange(
      context_floats_, context_floats_ + splits_.count * (block.context_rows * padded_dv_ +
                                                          PaddedColumns(2 * block.context_rows)));
  CutTiles(block);
}

void KeySetPass::CutTiles(Block& block) {
  const KeySetLayout& layout = key_set_->layout();
  const auto m = static_cast<double>(key_set_->m());
  const double elements =
      m * static_cast<double>(layout.d + (block.context_rows > 0 ? padded_dv_ : 0));
  const double multiply_adds =
      m * (static_cast<double>(block.rows) * static_cast<double>(layout.d + kExpMultiplyAdds) +
           static_cast<double>(block.context_rows) * static_cast<double>(padded_dv_));
  const double tiles = std::max(elements / static_cast<double>(kTileElements),
                                multiply_adds / static_cast<double>(kPassTileMultiplyAdds));
  block.tiles =
      static_cast<int64_t>(std::clamp(tiles + 0.5, 1.0, static_cast<double>(splits_.count)));
  block.tiles_left.store(block.tiles, std::memory_order_relaxed);
  if (block.tiles == 1 && tile_filled_ + tiles <= 1.0) {
    block.first_tile = tile_count_ - 1;
    tile_filled_ += tiles;
    return;
  }
  block.first_tile = std::exchange(tile_count_, tile_count_ + block.tiles);
  tile_filled_ = block.tiles == 1 ? tiles : 1.0;
}

absl::Status KeySetPass::AllocateState() {
  const auto allocate = [](int64_t count, size_t size, Buffer& buffer) {
    absl::StatusOr<Buffer> memory = Buffer::Allocate(static_cast<size_t>(count) * size);
    if (!memory.ok()) return memory.status();
    buffer = *std::move(memory);
    return absl::OkStatus();
  };
  absl::Status status = allocate(context_floats_, sizeof(float), context_);
  status.Update(allocate(weight_floats_, sizeof(float), weights_));
  status.Update(allocate(top_entries_, sizeof(TopEntry), entries_));
  status.Update(allocate(top_sizes_, sizeof(int64_t), sizes_));
  return status;
}

ContextRow KeySetPass::ContextOf(const Block& block, int64_t split, int64_t row) {
  const int64_t split_floats =
      block.context_rows * padded_dv_ + PaddedColumns(2 * block.context_rows);
  float* const out =
      reinterpret_cast<float*>(context_.data()) + block.context_state + split * split_floats;
  float* const max = out + block.context_rows * padded_dv_;
  return {.max = max[row],
          .sum = max[block.context_rows + row],
          .out = out + row * padded_dv_,
          .columns = padded_dv_};
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
    float* const out = ContextOf(work.block, split, 0).out;
    for (int64_t panel = 0; panel < panels;) {
      const PanelRun run = key_set_->Panels(work.block.matrix, first_panel + panel, panels - panel);
      const int64_t keys = std::min(run.keys.count * kPanelKeys, count - panel * kPanelKeys);
      AddWeightedPanels(scores + panel * kPanelKeys, kStepKeys, work.block.context_rows, run.values,
                        keys, out);
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
      log_sum_exp = context.Finish();
      if (dv > 0) {
        ConvertFromFloat32(problem.result_type, context.out, dv,
                           results.result + row.result_row * dv * bytes);
      }
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
