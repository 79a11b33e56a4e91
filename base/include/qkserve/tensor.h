#ifndef QKSERVE_TENSOR_H_
#define QKSERVE_TENSOR_H_

#include <qkserve/buffer.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace qkserve {

// Element types, little-endian. Values are those of qkserve.v1.DataType on the wire.
enum class DataType { kFloat32 = 1, kFloat16 = 2, kBfloat16 = 3, kBool = 4, kInt32 = 5 };

// True if `value`, which may come from outside, is that of a DataType.
bool IsDataType(int value);
// True if `value` is that of FLOAT32, FLOAT16 or BFLOAT16.
bool IsFloatType(int value);

// "FLOAT32", "FLOAT16", "BFLOAT16", "BOOL", "INT32": the names of the wire.
absl::string_view DataTypeName(DataType type);

// Bytes of an element: 4, 2 or 1.
int64_t ElementBytes(DataType type);

// Sizes of the dimensions, outermost first.
using Shape = std::vector<int64_t>;

// The product of the sizes; 1 for an empty shape. nullopt: a size is negative, or the product of
// the sizes that are not 0 does not fit in 64 bits.
std::optional<int64_t> ElementCount(absl::Span<const int64_t> shape);

// ElementCount(shape) * element_bytes. nullopt: there is no such count, or the product does not fit
// in 64 bits.
std::optional<int64_t> ByteCount(absl::Span<const int64_t> shape, int64_t element_bytes);

// "[2, 3]". At most eight sizes are shown: shapes from outside may have millions.
std::string ShapeString(absl::Span<const int64_t> shape);

// A dense row-major tensor in memory that somebody else owns. `data` is aligned to 4 bytes.
struct TensorView {
  DataType data_type = DataType::kFloat32;
  Shape shape;
  const std::byte* data = nullptr;
};

// A dense row-major tensor with its memory.
struct Tensor {
  DataType data_type = DataType::kFloat32;
  Shape shape;
  Buffer data;

  TensorView View() const { return {data_type, shape, data.data()}; }
};

}  // namespace qkserve

#endif  // QKSERVE_TENSOR_H_
