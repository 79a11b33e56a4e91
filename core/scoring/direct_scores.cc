#include "core/scoring/direct_scores.h"

#include <algorithm>

#include "core/kernels/block_product.h"
#include "core/kernels/element_conversion.h"
#include "core/kernels/tile_scratch.h"
#include "core/scoring/limits.h"

namespace qkserve {

DirectScores::DirectScores(const ScoreRequest& request)
    : request_(request), mask_(request.problem, request.shape), cut_(CutOf(request.shape)) {}

DirectScores::Cut DirectScores::CutOf(const ScoreShape& shape) {
  Cut cut;
  if (shape.products == 0) return cut;
  // Requests of more than a few tiles get full ones; smaller ones are still cut in four, so that
  // workers can share them.
  const double depth = static_cast<double>(std::max<int64_t>(shape.d, 1));
  const double product_multiply_adds =
      static_cast<double>(shape.ProductRows()) * static_cast<double>(shape.m) * depth;
  const double tile_multiply_adds =
      std::clamp(product_multiply_adds * static_cast<double>(shape.products) / 4,
                 static_cast<double>(kTileMultiplyAddsMin), static_cast<double>(kTileMultiplyAdds));

  int64_t rows = std::min(shape.ProductRows(), kTileRows);
  int64_t keys = std::min(shape.m, kTileResults / rows);
  rows = std::min(shape.ProductRows(), kTileResults / keys);
  const auto is_too_much = [&] {
    return static_cast<double>(rows * keys) * depth > tile_multiply_adds ||
           static_cast<double>(rows + keys) * depth > static_cast<double>(kTileElements);
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
    const auto fitting =
        static_cast<int64_t>(static_cast<double>(kTileMultiplyAddsMin) /
                             (product_multiply_adds + static_cast<double>(kCallMultiplyAdds)));
    cut.products_per_tile =
        EvenPart(shape.products, std::clamp<int64_t>(fitting, 1, shape.products));
  }
  cut.tile_count =
      CeilDivide(shape.products, cut.products_per_tile) * cut.row_tiles * cut.key_tiles;
  return cut;
}

int64_t DirectScores::tile_count() const { return std::max<int64_t>(cut_.tile_count, 1); }

ScoreWork DirectScores::WorkOf(const ScoreShape& shape) {
  const Cut cut = CutOf(shape);
  const double results = static_cast<double>(shape.Rows()) * static_cast<double>(shape.m);
  // Scaling, masking and narrowing a row of a tile, however short.
  constexpr double kRowSeconds = 15e-9;
  const double calls = static_cast<double>(shape.products) * static_cast<double>(cut.row_tiles) *
                       static_cast<double>(cut.key_tiles);
  const double elements = static_cast<double>(shape.products) *
                              static_cast<double>(shape.ProductRows() + shape.m) *
                              static_cast<double>(shape.d) +
                          results;
  return {.multiply_adds = results * static_cast<double>(shape.d) +
                           calls * static_cast<double>(kCallMultiplyAdds),
          .row_seconds =
              kRowSeconds * static_cast<double>(shape.Rows()) * static_cast<double>(cut.key_tiles),
          .read_seconds = elements / kElementsReadPerSecond};
}

absl::Status DirectScores::RunTile(int64_t tile) {
  const ScoreShape& shape = request_.shape;
  const int64_t tiles_per_product = cut_.row_tiles * cut_.key_tiles;
  if (tiles_per_product > 1) {
    const int64_t row = tile % tiles_per_product / cut_.key_tiles * cut_.tile_rows;
    const int64_t key = tile % cut_.key_tiles * cut_.tile_keys;
    return ComputeTile({.product = tile / tiles_per_product,
                        .row = row,
                        .rows = std::min(cut_.tile_rows, shape.ProductRows() - row),
                        .key = key,
                        .keys = std::min(cut_.tile_keys, shape.m - key)});
  }
  const ScratchScope scope;
  const int64_t first = tile * cut_.products_per_tile;
  const int64_t last = std::min(first + cut_.products_per_tile, shape.products);
  for (int64_t product = first; product < last; ++product) {
    absl::Status status = ComputeTile(
        {.product = product, .row = 0, .rows = shape.ProductRows(), .key = 0, .keys = shape.m});
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
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

absl::Status DirectScores::ComputeScores(const Tile& tile, float* scores, int64_t stride) const {
  const AttentionProblem& problem = request_.problem;
  const ScoreShape& shape = request_.shape;
  if (problem.output == Output::kMasked && !IsAttended(tile)) {
    for (int64_t i = 0; i < tile.rows; ++i) {
      std::fill_n(scores + i * stride, tile.keys, kNotAttended);
    }
    return absl::OkStatus();
  }
  absl::Status status = MultiplyBlock(
      {.queries = problem.queries,
       .query_index = (shape.QueryMatrix(tile.product) * shape.n + tile.row) * shape.d,
       .rows = tile.rows,
       .keys = problem.keys,
       .key_index = (shape.KeyMatrix(tile.product) * shape.m + tile.key) * shape.d,
       .key_count = tile.keys,
       .depth = shape.d},
      scores, stride);
  if (!status.ok()) return status;
  for (int64_t i = 0; i < tile.rows; ++i) {
    const int64_t row = tile.product * shape.ProductRows() + tile.row + i;
    mask_.ApplyStages(row / shape.n, row % shape.n, tile.key, tile.keys, scores + i * stride);
  }
  return absl::OkStatus();
}

absl::Status DirectScores::ComputeTile(const Tile& tile) const {
  const ScoreShape& shape = request_.shape;
  const DataType type = request_.problem.result_type;
  std::byte* const result = request_.results.result;
  const int64_t first = (tile.product * shape.ProductRows() + tile.row) * shape.m + tile.key;
  if (type == DataType::kFloat32) {
    return ComputeScores(tile, reinterpret_cast<float*>(result) + first, shape.m);
  }
  TileScratch scratch;
  const absl::StatusOr<float*> scores = scratch.Get(tile.rows * tile.keys);
  if (!scores.ok()) return scores.status();
  absl::Status status = ComputeScores(tile, *scores, tile.keys);
  if (!status.ok()) return status;
  const int64_t bytes = ElementBytes(type);
  if (tile.keys == shape.m) {
    ConvertFromFloat32(type, *scores, tile.rows * tile.keys, result + first * bytes);
    return absl::OkStatus();
  }
  for (int64_t i = 0; i < tile.rows; ++i) {
    ConvertFromFloat32(type, *scores + i * tile.keys, tile.keys,
                       result + (first + i * shape.m) * bytes);
  }
  return absl::OkStatus();
}

}  // namespace qkserve
