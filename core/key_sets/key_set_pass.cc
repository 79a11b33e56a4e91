// Making a pass: rows are stacked in blocks, and blocks are cut into tiles.

#include "core/key_sets/key_set_pass.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <new>
#include <utility>

#include "core/kernels/block_product.h"
#include "core/scoring/fill_unattended.h"
#include "core/scoring/limits.h"

namespace qkserve {
namespace {

// In multiply-adds, 50 of which take a core about 1 ns: what a block and a row cost beside their
// scores, what keeping a score costs at worst (each a new best), and, when a block is finished,
// sorting an entry of top k (times the logarithm of k), writing one, weighing a score, and merging
// a split of context (times its columns, and for its sum).
constexpr int64_t kBlockMultiplyAdds = 50'000;
constexpr int64_t kRowMultiplyAdds = 5'000;
constexpr int64_t kKeepMultiplyAdds = 200;
constexpr int64_t kSortMultiplyAdds = 500;
constexpr int64_t kWriteMultiplyAdds = 50;
constexpr int64_t kSoftmaxMultiplyAdds = 75;
constexpr int64_t kMergeMultiplyAdds = 25;
constexpr int64_t kMergeSumMultiplyAdds = 1'500;

bool IsContext(const KeySetRequest& request) { return request.problem.output == Output::kContext; }

// Rows that take so long to finish that a block can have fewer of them.
bool IsLongToFinish(int64_t finish) { return finish > kTileMultiplyAdds / kBlockRows; }

}  // namespace

KeySetPass::KeySetPass(std::shared_ptr<const KeySet> key_set)
    : key_set_(std::move(key_set)),
      splits_(SplitKeys(key_set_->layout(), key_set_->m())),
      padded_dv_(PaddedColumns(key_set_->layout().dv.value_or(0))),
      matrices_(key_set_->layout().Matrices()) {}

absl::StatusOr<std::unique_ptr<KeySetPass>> KeySetPass::Create(
    std::shared_ptr<const KeySet> key_set, absl::Span<const KeySetRequest* const> requests) {
  std::unique_ptr<KeySetPass> pass(new KeySetPass(std::move(key_set)));
  try {
    pass->AddSources(requests);
    for (const KeySetRequest* request : requests) pass->AddFill(*request);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory for a pass");
  }
  // An empty pass still has one tile, which does nothing.
  pass->tile_count_ = std::max<int64_t>(pass->tile_count_, 1);
  return pass;
}

int64_t KeySetPass::FinishMultiplyAdds(const AttentionProblem& problem) const {
  const int64_t m = key_set_->m();
  switch (problem.output) {
    case Output::kTopK: {
      const int64_t k = std::min(problem.top_k, m);
      return kRowMultiplyAdds + kWriteMultiplyAdds * std::min(problem.top_k, k + kPaddingMax) +
             kSortMultiplyAdds * k * std::bit_width(static_cast<uint64_t>(k));
    }
    case Output::kWeights:
      return kRowMultiplyAdds + kSoftmaxMultiplyAdds * m;
    case Output::kContext:
      return kRowMultiplyAdds +
             splits_.count * (kMergeMultiplyAdds * padded_dv_ + kMergeSumMultiplyAdds);
    case Output::kScores:
    case Output::kCapped:
    case Output::kMasked:
      break;
  }
  return kRowMultiplyAdds;
}

void KeySetPass::AddSources(absl::Span<const KeySetRequest* const> requests) {
  sources_.reserve(requests.size());
  double matrix_tiles = 0;
  int64_t row = 0;
  // Rows that are long to finish have blocks of their own. In a block context rows are first: their
  // weights are then one matrix.
  for (const bool is_long : {false, true}) {
    Section section = {.first_row = row, .context_end = row, .end_row = row};
    for (const bool is_context : {true, false}) {
      for (const KeySetRequest* request : requests) {
        if (request->shape.units == 0 || IsContext(*request) != is_context) continue;
        const int64_t finish = FinishMultiplyAdds(request->problem);
        if (IsLongToFinish(finish) != is_long) continue;
        const int64_t rows = request->shape.Rows() / matrices_;
        sources_.push_back({.request = request,
                            .mask = KeyMask(request->problem, request->shape),
                            .first_row = row,
                            .rows = rows});
        row += rows;
        section.finish = std::max(section.finish, finish);
        section.has_top_k |= request->problem.output == Output::kTopK;
      }
      if (is_context) section.context_end = row;
    }
    section.end_row = row;
    matrix_tiles += CutRows(section);
  }
  if (!runs_.empty()) CountTiles(matrix_tiles);
}

double KeySetPass::CutRows(const Section& section) {
  // Queries of a block and their context stay in the cache.
  const int64_t row_elements = std::max<int64_t>(key_set_->layout().d + padded_dv_, 1);
  const int64_t fitting = std::min(kBlockElements / row_elements,
                                   kTileMultiplyAdds / std::max<int64_t>(section.finish, 1));
  const int64_t rows_max = std::clamp(fitting, int64_t{1}, kBlockRows);
  double tiles = 0;
  for (int64_t first = section.first_row; first < section.end_row;) {
    const int64_t rows = std::min(rows_max, section.end_row - first);
    Run run = {.first_row = first,
               .rows = rows,
               .context_rows = std::clamp(section.context_end - first, int64_t{0}, rows),
               .first_block = blocks_per_matrix_};
    if (rows == rows_max && run.context_rows == rows) {
      run.blocks = (section.context_end - first) / rows;
    } else if (rows == rows_max && run.context_rows == 0) {
      run.blocks = (section.end_row - first) / rows;
    }
    tiles += CutTiles(section, run);
    runs_.push_back(run);
    blocks_per_matrix_ += run.blocks;
    first += run.blocks * rows;
  }
  return tiles;
}

double KeySetPass::CutTiles(const Section& section, Run& run) const {
  const KeySetLayout& layout = key_set_->layout();
  const auto m = static_cast<double>(key_set_->m());
  // Panels are multiplied whole.
  const auto padded_m = static_cast<double>(key_set_->panel_count() * kPanelKeys);
  const auto rows = static_cast<double>(run.rows);
  const auto context_rows = static_cast<double>(run.context_rows);
  const auto d = static_cast<double>(layout.d);
  const auto dv = static_cast<double>(padded_dv_);
  const double elements = padded_m * (d + (run.context_rows > 0 ? dv : 0)) + rows * d;
  const double multiply_adds =
      padded_m * (rows * d + context_rows * dv) + m * rows * static_cast<double>(kExpMultiplyAdds);
  const double keep_multiply_adds =
      section.has_top_k ? m * (rows - context_rows) * static_cast<double>(kKeepMultiplyAdds) : 0;
  const double tiles = std::max(elements / static_cast<double>(kTileElements),
                                multiply_adds / static_cast<double>(kPassTileMultiplyAdds));
  // A part is some splits; where it would still be more than a tile at worst, and has no context,
  // which must be summed split by split, some panels.
  const double worst_tiles =
      std::max(elements / static_cast<double>(kTileElements),
               (multiply_adds + keep_multiply_adds) / static_cast<double>(kTileMultiplyAdds));
  double parts = std::floor(std::clamp(tiles + 0.5, 1.0, static_cast<double>(splits_.count)));
  if (run.context_rows == 0 && worst_tiles > parts + 1) {
    parts = std::min(std::ceil(worst_tiles), static_cast<double>(key_set_->panel_count()));
  }
  run.parts = static_cast<int64_t>(parts);
  run.tiles = run.blocks * run.parts;
  const auto blocks = static_cast<double>(run.blocks);
  if (run.parts > 1) return blocks * parts;
  const double block_multiply_adds = multiply_adds + static_cast<double>(kBlockMultiplyAdds) +
                                     rows * static_cast<double>(section.finish);
  const double block_tiles =
      std::max(tiles, block_multiply_adds / static_cast<double>(kPassTileMultiplyAdds));
  run.blocks_per_tile =
      EvenPart(run.blocks, static_cast<int64_t>(std::clamp(1 / block_tiles, 1.0, blocks)));
  run.tiles = CeilDivide(run.blocks, run.blocks_per_tile);
  return blocks * block_tiles;
}

void KeySetPass::CountTiles(double matrix_tiles) {
  if (matrix_tiles <= 1) {
    matrices_per_tile_ = EvenPart(
        matrices_,
        static_cast<int64_t>(std::clamp(1 / matrix_tiles, 1.0, static_cast<double>(matrices_))));
    block_tiles_ = CeilDivide(matrices_, matrices_per_tile_);
  } else {
    tiles_per_matrix_ = 0;
    for (Run& run : runs_) {
      run.first_tile = std::exchange(tiles_per_matrix_, tiles_per_matrix_ + run.tiles);
    }
    block_tiles_ = tiles_per_matrix_ * matrices_;
  }
  tile_count_ = block_tiles_;
}

void KeySetPass::AddFill(const KeySetRequest& request) {
  const UnattendedColumns columns =
      UnattendedColumnsOf(request.problem, request.shape, key_set_->layout().dv.value_or(0));
  if (columns.Places() == 0) return;
  const int64_t tiles = CeilDivide(columns.Places(), kFillPlaces);
  fills_.push_back({.request = &request,
                    .columns = columns,
                    .first_tile = std::exchange(tile_count_, tile_count_ + tiles)});
}

}  // namespace qkserve
