#include "core/scoring/direct_scores.h"

#include <algorithm>

#include "base/status_macros.h"
#include "core/kernels/block_product.h"
#include "core/kernels/element_conversion.h"
#include "core/kernels/tile_scratch.h"
#include "core/scoring/limits.h"
#include "core/scoring/row_cut.h"

namespace qkserve {

DirectScores::Cut DirectScores::CutOf(const ScoreShape& shape) {
  Cut cut;
  if (shape.products == 0) return cut;
  // A request with at least the work of four full tiles gets full tiles. A smaller request is cut
  // into four tiles, or into fewer if four would be below kTileMultiplyAddsMin, so that workers can
  // share it.
  const double depth = std::max<int64_t>(shape.d, 1);
  const double product_multiply_adds = static_cast<double>(shape.ProductRows()) * shape.m * depth;
  const double tile_multiply_adds = std::clamp<double>(product_multiply_adds * shape.products / 4,
                                                       kTileMultiplyAddsMin, kTileMultiplyAdds);

  int64_t rows = std::min(shape.ProductRows(), kTileRows);
  int64_t keys = std::min(shape.m, kTileResults / rows);
  rows = std::min(shape.ProductRows(), kTileResults / keys);
  const auto is_too_much = [&] {
    return rows * keys * depth > tile_multiply_adds || (rows + keys) * depth > kTileElements;
  };
  while (rows * keys > 1 && is_too_much()) {
    int64_t& longer = keys >= rows ? keys : rows;
    longer = CeilDivide(longer, 2);
  }
  cut.tile_rows = EvenPart(shape.ProductRows(), rows);
  cut.tile_keys = EvenPart(shape.m, keys);
  cut.row_tiles = CeilDivide(shape.ProductRows(), cut.tile_rows);
  cut.key_tiles = CeilDivide(shape.m, cut.tile_keys);

  if (cut.row_tiles * cut.key_tiles == 1) {
    cut.products_per_tile = PiecesPerTile(
        (product_multiply_adds + kCallMultiplyAdds) / kTileMultiplyAddsMin, shape.products);
  }
  cut.tile_count =
      CeilDivide(shape.products, cut.products_per_tile) * cut.row_tiles * cut.key_tiles;
  return cut;
}

ScoreWork DirectScores::WorkOf(const ScoreShape& shape, const Cut& cut) {
  if (shape.products == 0) return {};
  // The time to scale, mask and narrow a row of a tile, however short the row is.
  constexpr double kRowSeconds = 15e-9;
  const double products = shape.products;
  const double rows = shape.Rows();
  const double results = rows * shape.m;
  const double elements = products * (shape.ProductRows() + shape.m) * shape.d + results;
  return {.multiply_adds =
              results * shape.d + products * cut.row_tiles * cut.key_tiles * kCallMultiplyAdds,
          .row_seconds = kRowSeconds * rows * cut.key_tiles,
          .read_seconds = elements / kElementsReadPerSecond};
}

absl::Status DirectScores::RunTile(int64_t tile) {
  const TileScratch scope;
  const ScoreShape& shape = request_.shape;
  const int64_t in_product = tile % (cut_.row_tiles * cut_.key_tiles);
  const int64_t row = in_product / cut_.key_tiles * cut_.tile_rows;
  const int64_t key = in_product % cut_.key_tiles * cut_.tile_keys;
  const int64_t first = tile / (cut_.row_tiles * cut_.key_tiles) * cut_.products_per_tile;
  const int64_t last = std::min(first + cut_.products_per_tile, shape.products);
  absl::Status status;
  for (int64_t product = first; product < last && status.ok(); ++product) {
    status = ComputeTile({.product = product,
                          .row = row,
                          .rows = std::min(cut_.tile_rows, shape.ProductRows() - row),
                          .key = key,
                          .keys = std::min(cut_.tile_keys, shape.m - key)});
  }
  return status;
}

bool DirectScores::IsAttended(const Tile& tile) const {
  const ScoreShape& shape = request_.shape;
  for (int64_t i = 0; i < tile.rows; ++i) {
    const int64_t row = tile.product * shape.ProductRows() + tile.row + i;
    const KeyRange range = mask_.Range(row / shape.n, row % shape.n);
    const int64_t begin = std::max(range.begin, tile.key);
    if (begin < std::min(range.end, tile.key + tile.keys)) return true;
  }
  return false;
}

absl::Status DirectScores::ComputeTile(const Tile& tile) const {
  const AttentionProblem& problem = request_.problem;
  const ScoreShape& shape = request_.shape;
  const DataType type = problem.result_type;
  const int64_t first_row = tile.product * shape.ProductRows() + tile.row;
  const auto result_at = [&](int64_t i) {
    const int64_t index = (first_row + i) * shape.m + tile.key;
    return request_.results.result + index * ElementBytes(type);
  };
  TileScratch scratch;
  float* scores = reinterpret_cast<float*>(result_at(0));
  int64_t stride = shape.m;
  if (type != DataType::kFloat32) {
    ASSIGN_OR_RETURN(scores, scratch.Get(tile.rows * tile.keys));
    stride = tile.keys;
  }
  const int64_t first_slice = tile.product * shape.slices_per_product;
  const bool is_attended = problem.output != Output::kMasked || IsAttended(tile);
  if (is_attended) {
    RETURN_IF_ERROR(MultiplyBlock(
        {.queries = problem.queries,
         .query_index = (shape.QueryMatrix(first_slice) * shape.n + tile.row) * shape.d,
         .rows = tile.rows,
         .keys = problem.keys,
         .key_index = (shape.KeyMatrix(first_slice) * shape.m + tile.key) * shape.d,
         .key_count = tile.keys,
         .depth = shape.d},
        scores, stride));
  }
  for (int64_t i = 0; i < tile.rows; ++i, scores += stride) {
    const int64_t row = first_row + i;
    if (is_attended) {
      mask_.ApplyStages(row / shape.n, row % shape.n, tile.key, tile.keys, scores);
    } else {
      std::fill_n(scores, tile.keys, kNotAttended);
    }
    if (type != DataType::kFloat32) ConvertFromFloat32(type, scores, tile.keys, result_at(i));
  }
  return absl::OkStatus();
}

}  // namespace qkserve
