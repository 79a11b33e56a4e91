// How the tiles of a pass run.

#include <algorithm>
#include <array>
#include <vector>

#include "core/attention/block_product.h"
#include "core/attention/element_types.h"
#include "core/attention/tile_scratch.h"
#include "core/key_sets/key_set_pass.h"
#include "core/limits.h"

namespace qkserve {

absl::Status KeySetPass::RunTile(int64_t tile) {
  const ScratchScope scope;
  if (tile >= block_tiles_) {
    RunFill(tile);
    return absl::OkStatus();
  }
  absl::Status status;
  if (tiles_per_matrix_ == 1) {
    const int64_t end = std::min((tile + 1) * matrices_per_tile_, matrices_);
    for (int64_t matrix = tile * matrices_per_tile_; matrix < end; ++matrix) {
      for (const Run& run : runs_) {
        status = RunBlocks(run, matrix, 0, run.blocks);
        if (!status.ok()) return status;
      }
    }
    return status;
  }
  const int64_t matrix = tile / tiles_per_matrix_;
  const int64_t in_matrix = tile % tiles_per_matrix_;
  const Run& run = *(std::upper_bound(runs_.begin(), runs_.end(), in_matrix,
                                      [](int64_t t, const Run& r) { return t < r.first_tile; }) -
                     1);
  const int64_t in_run = in_matrix - run.first_tile;
  if (run.parts > 1) return RunPart(GetBlock(run, matrix, in_run / run.parts), in_run % run.parts);
  const int64_t first = in_run * run.blocks_per_tile;
  return RunBlocks(run, matrix, first, std::min(first + run.blocks_per_tile, run.blocks));
}

void KeySetPass::RunFill(int64_t tile) const {
  for (const Fill& fill : fills_) {
    const int64_t in_fill = tile - fill.first_tile;
    if (in_fill < 0 || in_fill * kFillPlaces >= fill.columns.Places()) continue;
    FillUnattended(fill.request->problem, fill.request->results, fill.columns, in_fill);
  }
}

absl::Status KeySetPass::RunBlocks(const Run& run, int64_t matrix, int64_t first, int64_t end) {
  absl::Status status;
  for (int64_t block = first; block < end && status.ok(); ++block) {
    status = RunPart(GetBlock(run, matrix, block), 0);
  }
  return status;
}

KeySetPass::Block KeySetPass::GetBlock(const Run& run, int64_t matrix, int64_t block) const {
  return {.matrix = matrix,
          .index = matrix * blocks_per_matrix_ + run.first_block + block,
          .first_row = run.first_row + block * run.rows,
          .rows = run.rows,
          .context_rows = run.context_rows,
          .parts = run.parts};
}

// The rows of a matrix are, request by request, those of the slices that read it, in order.
void KeySetPass::MakeRows(const Block& block, Row* rows) const {
  for (const Source& source : sources_) {
    const int64_t begin = std::max(block.first_row, source.first_row) - source.first_row;
    const int64_t end =
        std::min(block.first_row + block.rows, source.first_row + source.rows) - source.first_row;
    if (begin >= end) continue;
    const ScoreShape& shape = source.request->shape;
    const int64_t heads = shape.heads / shape.key_heads;  // that read the matrix
    const int64_t first_head = block.matrix % shape.key_heads * heads;
    int64_t batch =
        shape.key_batch == 1 ? begin / (heads * shape.n) : block.matrix / shape.key_heads;
    int64_t head = begin % (heads * shape.n) / shape.n;
    int64_t query = begin % shape.n;
    for (int64_t index = begin; index < end; ++index) {
      const int64_t slice = batch * shape.heads + first_head + head;
      const int64_t query_matrix = (shape.query_batch == 1 ? 0 : batch) * shape.query_heads +
                                   (shape.query_heads == 1 ? 0 : first_head + head);
      *rows++ = {.request = source.request,
                 .mask = &source.mask,
                 .slice = slice,
                 .query = query,
                 .query_row = query_matrix * shape.n + query,
                 .result_row = slice * shape.n + query,
                 .weights = nullptr,
                 .top = 0};
      if (++query < shape.n) continue;
      query = 0;
      if (++head < heads) continue;
      head = 0;
      ++batch;
    }
  }
}

// As float32, rows that follow one another at once.
void KeySetPass::ConvertQueries(absl::Span<const Row> rows, float* queries) const {
  const int64_t d = key_set_->layout().d;
  for (size_t first = 0; first < rows.size() && d > 0;) {
    const Row& row = rows[first];
    size_t count = 1;
    while (first + count < rows.size() && rows[first + count].request == row.request &&
           rows[first + count].query_row == row.query_row + static_cast<int64_t>(count)) {
      ++count;
    }
    const TensorView& from = row.request->problem.queries;
    ConvertToFloat32(from.data_type, from.data + row.query_row * d * ElementBytes(from.data_type),
                     static_cast<int64_t>(count) * d, queries + static_cast<int64_t>(first) * d);
    first += count;
  }
}

// Parts are cut where splits are, or, where there are more parts than splits, where panels are.
KeyRange KeySetPass::KeysOf(const Block& block, int64_t part) const {
  const int64_t unit = block.parts <= splits_.count ? splits_.keys : kPanelKeys;
  const int64_t units = CeilDivide(key_set_->m(), unit);
  return {part * units / block.parts * unit,
          std::min((part + 1) * units / block.parts * unit, key_set_->m())};
}

absl::Status KeySetPass::AllocateState(const Block& block, absl::Span<const Row> rows,
                                       BlockState& state) const {
  int64_t weight_rows = 0;
  for (const Row& row : rows) {
    if (HasWeightsOfItsOwn(row)) ++weight_rows;
  }
  const int64_t context_bytes =
      splits_.count * ContextRows::SumBytes(block.context_rows, padded_dv_);
  const int64_t infinity_bytes =
      splits_.count * ContextRows::InfinityBytes(block.context_rows, padded_dv_);
  const int64_t weight_floats = weight_rows * key_set_->m();
  for (const auto& [buffer, bytes] :
       {std::pair(&state.context, static_cast<size_t>(context_bytes)),
        std::pair(&state.weights, static_cast<size_t>(weight_floats) * sizeof(float))}) {
    absl::StatusOr<Buffer> memory = Buffer::Allocate(bytes);
    if (!memory.ok()) return memory.status();
    *buffer = *std::move(memory);
  }
  absl::StatusOr<Buffer> infinities = Buffer::AllocateOnDemand(static_cast<size_t>(infinity_bytes));
  if (!infinities.ok()) return infinities.status();
  state.infinities = *std::move(infinities);
  state.parts_left = block.parts;
  return absl::OkStatus();
}

absl::StatusOr<KeySetPass::BlockState*> KeySetPass::SharedState(const Block& block,
                                                                absl::Span<const Row> rows) {
  MutexLock lock(&mutex_);
  const auto [entry, is_new] = states_.try_emplace(block.index);
  if (is_new) {
    absl::Status status = AllocateState(block, rows, entry->second);
    if (!status.ok()) {
      states_.erase(entry);
      return status;
    }
  }
  return &entry->second;
}

// A part that ends stores its best entries; the next part that ends merges them. No part waits for
// another. The last one has the best of all.
bool KeySetPass::HandOver(BlockState& state, TopRows& top) {
  while (true) {
    TopRows other;
    {
      MutexLock lock(&mutex_);
      if (!state.has_top) {
        if (--state.parts_left == 0) return true;
        state.top = std::move(top);
        state.has_top = true;
        return false;
      }
      other = std::move(state.top);
      state.has_top = false;
    }
    for (size_t i = 0; i < top.rows.size(); ++i) {
      top.rows[i].Merge(other.rows[i].entries(), other.rows[i].Select());
    }
  }
}

absl::StatusOr<TopRows> KeySetPass::MakeTopRows(absl::Span<Row> rows) const {
  std::vector<int64_t> ks;
  for (Row& row : rows) {
    if (row.request->problem.output != Output::kTopK) continue;
    row.top = ks.size();
    ks.push_back(row.request->problem.top_k);
  }
  return TopRows::Create(ks, key_set_->m());
}

void KeySetPass::PlaceWeights(absl::Span<Row> rows, BlockState& state) const {
  auto* weights = reinterpret_cast<float*>(state.weights.data());
  for (Row& row : rows) {
    if (HasWeightsOfItsOwn(row)) {
      row.weights = weights;
      weights += key_set_->m();
    } else if (row.request->problem.output == Output::kWeights) {
      row.weights =
          reinterpret_cast<float*>(row.request->results.result) + row.result_row * key_set_->m();
    }
  }
}

ContextRows KeySetPass::ContextOf(const Work& work, int64_t split) const {
  const int64_t rows = work.block.context_rows;
  return {work.state.context.data() + split * ContextRows::SumBytes(rows, padded_dv_),
          work.state.infinities.data() + split * ContextRows::InfinityBytes(rows, padded_dv_), rows,
          key_set_->layout().dv.value_or(0), padded_dv_};
}

KeyRange KeySetPass::AttendedKeys(absl::Span<const Row> rows) const {
  KeyRange keys = {key_set_->m(), 0};
  for (const Row& row : rows) {
    if (WantsAllScores(row.request->problem)) return {0, key_set_->m()};
    const KeyRange range = row.mask->Range(row.slice, row.query);
    if (range.end <= range.begin) continue;
    keys.begin = std::min(keys.begin, range.begin);
    keys.end = std::max(keys.end, range.end);
  }
  return keys;
}

absl::Status KeySetPass::RunPart(const Block& block, int64_t part) {
  const int64_t d = key_set_->layout().d;
  TileScratch scratch;
  const absl::StatusOr<float*> queries = scratch.Get(block.rows * d);
  if (!queries.ok()) return queries.status();
  std::array<Row, kBlockRows> row_memory;
  const absl::Span<Row> rows(row_memory.data(), static_cast<size_t>(block.rows));
  MakeRows(block, rows.data());
  ConvertQueries(rows, *queries);
  absl::StatusOr<TopRows> top = MakeTopRows(rows);
  if (!top.ok()) return top.status();
  BlockState own;
  BlockState* state = &own;
  if (block.parts > 1) {
    const absl::StatusOr<BlockState*> shared = SharedState(block, rows);
    if (!shared.ok()) return shared.status();
    state = *shared;
  } else {
    absl::Status status = AllocateState(block, rows, own);
    if (!status.ok()) return status;
  }
  PlaceWeights(rows, *state);
  const Work work = {.block = block,
                     .state = *state,
                     .top = *top,
                     .rows = rows,
                     .queries = *queries,
                     .attended = AttendedKeys(rows)};
  absl::Status status = RunKeys(work, KeysOf(block, part));
  if (!status.ok()) return status;
  if (block.parts == 1) {
    FinishBlock(work);
  } else if (HandOver(*state, *top)) {
    FinishBlock(work);
    // Its memory is given back without the lock.
    std::map<int64_t, BlockState>::node_type done;
    MutexLock lock(&mutex_);
    done = states_.extract(block.index);
  }
  return absl::OkStatus();
}

absl::Status KeySetPass::RunKeys(const Work& work, KeyRange keys) {
  if (work.block.context_rows == 0) return RunSplit(work, 0, keys);
  absl::Status status;
  for (int64_t key = keys.begin; key < keys.end && status.ok(); key += splits_.keys) {
    status = RunSplit(work, key / splits_.keys, {key, std::min(key + splits_.keys, keys.end)});
  }
  return status;
}

absl::Status KeySetPass::RunSplit(const Work& work, int64_t split, KeyRange keys) {
  TileScratch scratch;
  const absl::StatusOr<float*> memory = scratch.Get(work.block.rows * kStepKeys);
  if (!memory.ok()) return memory.status();
  float* const scores = *memory;
  const ContextRows context = ContextOf(work, split);
  for (int64_t i = 0; i < work.block.context_rows; ++i) context.Row(i).Clear();

  const int64_t begin = std::max(keys.begin, work.attended.begin / kStepKeys * kStepKeys);
  // Whole steps: how a row is summed must not depend on what others of the block attend.
  const int64_t end = std::min(keys.end, CeilDivide(work.attended.end, kStepKeys) * kStepKeys);
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
      const Row& row = work.rows[static_cast<size_t>(i)];
      float* const row_scores = scores + i * kStepKeys;
      row.mask->ToStage(row.slice, row.query, key, count, row_scores);
      if (i < work.block.context_rows) {
        context.Row(i).Weigh(row_scores, count);
      } else {
        Reduce(work, row, key, count, row_scores);
      }
    }
    if (work.block.context_rows == 0) continue;
    for (int64_t panel = 0; panel < panels;) {
      const PanelRun run = key_set_->Panels(work.block.matrix, first_panel + panel, panels - panel);
      const int64_t keys_of_run = std::min(run.keys.count * kPanelKeys, count - panel * kPanelKeys);
      AddWeightedPanels(scores + panel * kPanelKeys, kStepKeys, work.block.context_rows, run.values,
                        keys_of_run, context.out(), padded_dv_, context.infinities());
      panel += run.keys.count;
    }
  }
  return absl::OkStatus();
}

void KeySetPass::Reduce(const Work& work, const Row& row, int64_t key, int64_t count,
                        float* scores) {
  const AttentionProblem& problem = row.request->problem;
  if (problem.output == Output::kTopK) {
    work.top.rows[row.top].Offer(scores, count, key);
  } else if (problem.output == Output::kWeights) {
    std::copy(scores, scores + count, row.weights + key);
  } else {
    ConvertFromFloat32(problem.result_type, scores, count,
                       row.request->results.result + (row.result_row * key_set_->m() + key) *
                                                         ElementBytes(problem.result_type));
  }
}

void KeySetPass::FinishBlock(const Work& work) {
  for (int64_t i = 0; i < work.block.rows; ++i) {
    const Row& row = work.rows[static_cast<size_t>(i)];
    const AttentionProblem& problem = row.request->problem;
    const AttentionResults& results = row.request->results;
    const int64_t bytes = ElementBytes(problem.result_type);
    float log_sum_exp = 0.0F;
    if (problem.output == Output::kTopK) {
      FinishTopK(row, work.top.rows[row.top]);
    } else if (problem.output == Output::kContext) {
      const int64_t dv = *key_set_->layout().dv;
      const ContextRow context = ContextOf(work, 0).Row(i);
      for (int64_t split = 1; split < splits_.count; ++split) {
        context.Merge(ContextOf(work, split).Row(i));
      }
      log_sum_exp =
          context.Finish(problem.result_type, results.result + row.result_row * dv * bytes);
    } else if (problem.output == Output::kWeights) {
      const int64_t m = key_set_->m();
      log_sum_exp = Softmax(row.weights, m);
      if (problem.result_type != DataType::kFloat32 && m > 0) {
        ConvertFromFloat32(problem.result_type, row.weights, m,
                           results.result + row.result_row * m * bytes);
      }
    }
    if (results.log_sum_exp != nullptr) results.log_sum_exp[row.result_row] = log_sum_exp;
  }
}

void KeySetPass::FinishTopK(const Row& row, TopK& best) const {
  const AttentionProblem& problem = row.request->problem;
  const int64_t size = best.Select();
  const int64_t columns = UnattendedColumnsOf(problem, row.request->shape, 0).ColumnsOfRow();
  WriteTopEntries(best.entries(), size, columns, problem.result_type,
                  row.request->results.result +
                      row.result_row * problem.top_k * ElementBytes(problem.result_type),
                  row.request->results.indices + row.result_row * problem.top_k);
}

}  // namespace qkserve
