#include "core/attention/score_plan.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/attention/blas.h"
#include "core/attention/element_types.h"
#include "core/limits.h"

namespace qkserve {
namespace {

int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Cuts `total` into as few parts as `part_max` allows, evenly: the size of a part, in steps that
// suit the matrix kernels where that costs no further part.
int64_t EvenPart(int64_t total, int64_t part_max) {
  constexpr int64_t kStep = 16;
  const int64_t part = CeilDivide(total, CeilDivide(total, part_max));
  return std::min({CeilDivide(part, kStep) * kStep, part_max, total});
}

// Memory that a thread keeps for its tiles. Its size is bounded by the constants of a tile.
class Scratch {
 public:
  absl::StatusOr<float*> Get(int64_t floats) {
    const size_t bytes = static_cast<size_t>(floats) * sizeof(float);
    if (buffer_.size_bytes() < bytes) {
      absl::StatusOr<Buffer> buffer = Buffer::Allocate(bytes);
      if (!buffer.ok()) return buffer.status();
      buffer_ = *std::move(buffer);
    }
    return reinterpret_cast<float*>(buffer_.data());
  }

 private:
  Buffer buffer_;
};

const std::byte* ElementAt(const TensorView& tensor, int64_t index) {
  return tensor.data + index * ElementBytes(tensor.data_type);
}

const float* Float32At(const TensorView& tensor, int64_t index) {
  return reinterpret_cast<const float*>(ElementAt(tensor, index));
}

// The block's matrices: `rows` rows of the queries and `keys` rows of the keys, both of depth d.
struct Operands {
  const TensorView& queries;
  int64_t query_index;  // first element
  int64_t rows;
  const TensorView& keys;
  int64_t key_index;
  int64_t key_count;
  int64_t depth;
};

void Scale(float scale, float* out, int64_t out_stride, int64_t rows, int64_t keys) {
  if (scale == 1.0F) return;
  for (int64_t i = 0; i < rows; ++i) {
    float* row = out + i * out_stride;
    for (int64_t j = 0; j < keys; ++j) row[j] *= scale;
  }
}

// `columns` elements of each of `rows` rows of `stride` elements, the first at `index`.
void ConvertColumns(const TensorView& tensor, int64_t index, int64_t rows, int64_t stride,
                    int64_t columns, float* to) {
  if (columns == stride) {
    columns *= rows;  // they follow one another: one call
    rows = 1;
  }
  for (int64_t i = 0; i < rows; ++i) {
    ConvertToFloat32(tensor.data_type, ElementAt(tensor, index + i * stride), columns,
                     to + i * columns);
  }
}

// A kDepthChunk of d at a time is converted and added. The chunks are cut by d alone.
absl::Status MultiplyConverted(const Operands& op, float* out, int64_t out_stride) {
  const int64_t chunk = EvenPart(op.depth, kDepthChunk);
  thread_local Scratch scratch;
  const absl::StatusOr<float*> memory = scratch.Get((op.rows + op.key_count) * chunk);
  if (!memory.ok()) return memory.status();
  float* const queries = *memory;
  float* const keys = queries + op.rows * chunk;
  for (int64_t begin = 0; begin < op.depth; begin += chunk) {
    const int64_t depth = std::min(chunk, op.depth - begin);
    ConvertColumns(op.queries, op.query_index + begin, op.rows, op.depth, depth, queries);
    ConvertColumns(op.keys, op.key_index + begin, op.key_count, op.depth, depth, keys);
    ComputeDotProducts({.queries = queries,
                        .query_stride = depth,
                        .keys = keys,
                        .key_stride = depth,
                        .out = out,
                        .out_stride = out_stride,
                        .rows = op.rows,
                        .key_count = op.key_count,
                        .depth = depth,
                        .accumulate = begin > 0});
  }
  return absl::OkStatus();
}

absl::Status Multiply(const Operands& op, float* out, int64_t out_stride) {
  if (op.depth == 0) {
    for (int64_t i = 0; i < op.rows; ++i) std::fill_n(out + i * out_stride, op.key_count, 0.0F);
    return absl::OkStatus();
  }
  if (op.queries.data_type != DataType::kFloat32 || op.keys.data_type != DataType::kFloat32) {
    return MultiplyConverted(op, out, out_stride);
  }
  ComputeDotProducts({.queries = Float32At(op.queries, op.query_index),
                      .query_stride = op.depth,
                      .keys = Float32At(op.keys, op.key_index),
                      .key_stride = op.depth,
                      .out = out,
                      .out_stride = out_stride,
                      .rows = op.rows,
                      .key_count = op.key_count,
                      .depth = op.depth,
                      .accumulate = false});
  return absl::OkStatus();
}

}  // namespace

ScorePlan::ScorePlan(const ScoreShape& shape) : shape_(shape) {
  if (shape_.units == 0) return;
  // Requests of more than a few tiles get full ones; smaller ones are still cut in four, so that
  // workers can share them.
  const double depth = static_cast<double>(std::max<int64_t>(shape_.d, 1));
  const double unit_multiply_adds =
      static_cast<double>(shape_.UnitRows()) * static_cast<double>(shape_.m) * depth;
  const double tile_multiply_adds =
      std::clamp(unit_multiply_adds * static_cast<double>(shape_.units) / 4,
                 static_cast<double>(kTileMultiplyAddsMin), static_cast<double>(kTileMultiplyAdds));

  int64_t rows = std::min(shape_.UnitRows(), kTileRows);
  int64_t keys = std::min(shape_.m, kTileResults / rows);
  rows = std::min(shape_.UnitRows(), kTileResults / keys);
  const auto is_too_much = [&] {
    return static_cast<double>(rows * keys) * depth > tile_multiply_adds ||
           static_cast<double>(rows + keys) * depth > static_cast<double>(kTileElements);
  };
  while (rows * keys > 1 && is_too_much()) {
    int64_t& longer = keys >= rows ? keys : rows;
    longer = CeilDivide(longer, 2);
  }
  tile_rows_ = EvenPart(shape_.UnitRows(), rows);
  tile_keys_ = EvenPart(shape_.m, keys);
  row_tiles_ = CeilDivide(shape_.UnitRows(), tile_rows_);
  key_tiles_ = CeilDivide(shape_.m, tile_keys_);

  if (row_tiles_ * key_tiles_ == 1) {
    const auto fitting =
        static_cast<int64_t>(static_cast<double>(kTileMultiplyAddsMin) /
                             (unit_multiply_adds + static_cast<double>(kCallMultiplyAdds)));
    units_per_tile_ = EvenPart(shape_.units, std::clamp<int64_t>(fitting, 1, shape_.units));
  }
  tile_count_ = CeilDivide(shape_.units, units_per_tile_) * row_tiles_ * key_tiles_;
}

absl::Duration ScorePlan::PredictCost(double gflops) const {
  // Beside the tiles: calls, the first touch of the result.
  constexpr double kFixedSeconds = 2e-6;
  // What one core reads from memory and, where it must, converts. Measured values are two to three
  // times this on an idle machine, where the cores do not share it.
  constexpr double kElementsPerSecond = 1.5e9;
  const double results = static_cast<double>(rows()) * static_cast<double>(shape_.m);
  const double calls = static_cast<double>(shape_.units) * static_cast<double>(row_tiles_) *
                       static_cast<double>(key_tiles_);
  const double multiply_seconds =
      2e-9 *
      (results * static_cast<double>(shape_.d) + calls * static_cast<double>(kCallMultiplyAdds)) /
      std::max(gflops, 0.1);
  const double read_seconds =
      (static_cast<double>(shape_.units) * static_cast<double>(shape_.UnitRows() + shape_.m) *
           static_cast<double>(shape_.d) +
       results) /
      kElementsPerSecond;
  return absl::Seconds(kFixedSeconds + std::max(multiply_seconds, read_seconds));
}

absl::Status ScorePlan::ComputeTile(int64_t tile, const ScoreProblem& problem,
                                    std::byte* result) const {
  const int64_t tiles_per_unit = row_tiles_ * key_tiles_;
  if (tiles_per_unit > 1) {
    const int64_t row = tile % tiles_per_unit / key_tiles_ * tile_rows_;
    const int64_t key = tile % key_tiles_ * tile_keys_;
    return ComputeBlock({.unit = tile / tiles_per_unit,
                         .row = row,
                         .rows = std::min(tile_rows_, shape_.UnitRows() - row),
                         .key = key,
                         .keys = std::min(tile_keys_, shape_.m - key)},
                        problem, result);
  }
  const int64_t first = tile * units_per_tile_;
  const int64_t last = std::min(first + units_per_tile_, shape_.units);
  for (int64_t unit = first; unit < last; ++unit) {
    absl::Status status = ComputeBlock(
        {.unit = unit, .row = 0, .rows = shape_.UnitRows(), .key = 0, .keys = shape_.m}, problem,
        result);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ScorePlan::ComputeBlock(const Block& block, const ScoreProblem& problem,
                                     std::byte* result) const {
  const Operands operands = {
      .queries = problem.queries,
      .query_index = (shape_.QueryMatrix(block.unit) * shape_.n + block.row) * shape_.d,
      .rows = block.rows,
      .keys = problem.keys,
      .key_index = (shape_.KeyMatrix(block.unit) * shape_.m + block.key) * shape_.d,
      .key_count = block.keys,
      .depth = shape_.d};
  const int64_t first = (block.unit * shape_.UnitRows() + block.row) * shape_.m + block.key;

  if (problem.result_type == DataType::kFloat32) {
    float* out = reinterpret_cast<float*>(result) + first;
    absl::Status status = Multiply(operands, out, shape_.m);
    Scale(problem.scale, out, shape_.m, block.rows, block.keys);
    return status;
  }
  thread_local Scratch scratch;
  const absl::StatusOr<float*> scores = scratch.Get(block.rows * block.keys);
  if (!scores.ok()) return scores.status();
  absl::Status status = Multiply(operands, *scores, block.keys);
  if (!status.ok()) return status;
  Scale(problem.scale, *scores, block.keys, block.rows, block.keys);
  const int64_t bytes = ElementBytes(problem.result_type);
  if (block.keys == shape_.m) {
    ConvertFromFloat32(problem.result_type, *scores, block.rows * block.keys,
                       result + first * bytes);
    return absl::OkStatus();
  }
  for (int64_t i = 0; i < block.rows; ++i) {
    ConvertFromFloat32(problem.result_type, *scores + i * block.keys, block.keys,
                       result + (first + i * shape_.m) * bytes);
  }
  return absl::OkStatus();
}

}  // namespace qkserve
