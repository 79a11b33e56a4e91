#include "core/kernels/block_product.h"

#include <algorithm>

#include "core/kernels/blas.h"
#include "core/kernels/element_conversion.h"
#include "core/kernels/tile_scratch.h"

namespace qkserve {
namespace {

const std::byte* ElementAt(const TensorView& tensor, int64_t index) {
  return tensor.data + index * ElementBytes(tensor.data_type);
}

const float* Float32At(const TensorView& tensor, int64_t index) {
  return reinterpret_cast<const float*>(ElementAt(tensor, index));
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
absl::Status MultiplyConverted(const ScoreBlock& op, float* out, int64_t out_stride) {
  const int64_t chunk = EvenPart(op.depth, kDepthChunk);
  TileScratch scratch;
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

}  // namespace

int64_t EvenPart(int64_t total, int64_t part_max) {
  constexpr int64_t kStep = 16;
  const int64_t part = CeilDivide(total, CeilDivide(total, part_max));
  return std::min({CeilDivide(part, kStep) * kStep, part_max, total});
}

absl::Status MultiplyBlock(const ScoreBlock& op, float* out, int64_t out_stride) {
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

}  // namespace qkserve
