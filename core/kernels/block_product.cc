#include "core/kernels/block_product.h"

#include <algorithm>

#include "base/status_macros.h"
#include "core/kernels/blas.h"
#include "core/kernels/element_conversion.h"
#include "core/kernels/tile_scratch.h"

namespace qkserve {
namespace {

const std::byte* ElementAt(const TensorView& tensor, int64_t index) {
  return tensor.data + index * ElementBytes(tensor.data_type);
}

// Converts `columns` elements of each of `rows` rows. The first element is at `index`, and rows are
// `stride` elements apart.
void ConvertColumns(const TensorView& tensor, int64_t index, int64_t rows, int64_t stride,
                    int64_t columns, float* to) {
  if (columns == stride) {
    columns *= rows;  // the rows are consecutive, so one call converts all
    rows = 1;
  }
  for (int64_t i = 0; i < rows; ++i) {
    ConvertToFloat32(tensor.data_type, ElementAt(tensor, index + i * stride), columns,
                     to + i * columns);
  }
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
  DotProducts args = {
      .queries = reinterpret_cast<const float*>(ElementAt(op.queries, op.query_index)),
      .query_stride = op.depth,
      .keys = reinterpret_cast<const float*>(ElementAt(op.keys, op.key_index)),
      .key_stride = op.depth,
      .out = out,
      .out_stride = out_stride,
      .rows = op.rows,
      .key_count = op.key_count,
      .depth = op.depth};
  if (op.queries.data_type == DataType::kFloat32 && op.keys.data_type == DataType::kFloat32) {
    ComputeDotProducts(args);
    return absl::OkStatus();
  }
  // At most kDepthChunk elements of each row are converted and multiplied at a time. The chunks
  // depend on d only.
  const int64_t chunk = EvenPart(op.depth, kDepthChunk);
  TileScratch scratch;
  ASSIGN_OR_RETURN(float* const queries, scratch.Get((op.rows + op.key_count) * chunk));
  float* const keys = queries + op.rows * chunk;
  args.queries = queries;
  args.keys = keys;
  for (int64_t begin = 0; begin < op.depth; begin += chunk) {
    const int64_t depth = std::min(chunk, op.depth - begin);
    ConvertColumns(op.queries, op.query_index + begin, op.rows, op.depth, depth, queries);
    ConvertColumns(op.keys, op.key_index + begin, op.key_count, op.depth, depth, keys);
    args.depth = args.query_stride = args.key_stride = depth;
    ComputeDotProducts(args);
    args.accumulate = true;
  }
  return absl::OkStatus();
}

}  // namespace qkserve
