// What a pass consists of: its rows, blocks and tiles, and the memory that they need.

#include "core/key_sets/key_set_pass.h"

#include <algorithm>
#include <new>
#include <utility>

#include "core/attention/rows_plan.h"
#include "core/limits.h"

namespace qkserve {
namespace {

bool IsContext(const KeySetRequest& request) { return request.problem.output == Output::kContext; }

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
  // Aligned: a multiple of 16 each.
  block.context_state = std::exchange(
      context_doubles_, context_doubles_ + splits_.count * (block.context_rows * padded_dv_ +
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
  absl::Status status = allocate(context_doubles_, sizeof(double), context_);
  status.Update(allocate(weight_floats_, sizeof(float), weights_));
  status.Update(allocate(top_entries_, sizeof(TopEntry), entries_));
  status.Update(allocate(top_sizes_, sizeof(int64_t), sizes_));
  return status;
}

}  // namespace qkserve
