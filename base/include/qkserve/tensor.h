#ifndef QKSERVE_TENSOR_H_
#define QKSERVE_TENSOR_H_

#include <qkserve/buffer.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace qkserve {

// Element types, little-endian. Values are those of qkserve.v1.DataType on the wire.
enum class DataType { kFloat32 = 1, kFloat16 = 2, kBfloat16 = 3, kBool = 4, kInt32 = 5 };

// True if `value`, which may come from outside, is the value of a DataType.
bool IsDataType(int value);
// True if `value` is the value of FLOAT32, FLOAT16 or BFLOAT16.
bool IsFloatType(int value);

// Returns the name of a type on the wire: "FLOAT32", "FLOAT16", "BFLOAT16", "BOOL" or "INT32".
absl::string_view DataTypeName(DataType type);

// Returns the bytes of an element: 4, 2 or 1.
int64_t ElementBytes(DataType type);

// Sizes of the dimensions, outermost first.
using Shape = std::vector<int64_t>;

// Returns the product of the sizes, or 1 for an empty shape. Returns nullopt if a size is negative,
// or if the product of the sizes that are not 0 does not fit in 64 bits.
std::optional<int64_t> ElementCount(absl::Span<const int64_t> shape);

// Returns ElementCount(shape) * element_bytes. Returns nullopt if there is no count, or if the
// product does not fit in 64 bits.
std::optional<int64_t> ByteCount(absl::Span<const int64_t> shape, int64_t element_bytes);

// Returns the shape as text, for example "[2, 3]". At most eight sizes are shown, because shapes
// from outside may have millions.
std::string ShapeString(absl::Span<const int64_t> shape);

// A dense row-major tensor in memory that somebody else owns. `data` is aligned to 4 bytes. View
// and Matrix make a view of typed elements.
struct TensorView {
  DataType data_type = DataType::kFloat32;
  Shape shape;
  const std::byte* data = nullptr;

  // The number of bytes at `data`. If the shape takes another number of bytes, the calls of Client
  // fail with INVALID_ARGUMENT. If `size_bytes` is nullopt, the shape is trusted.
  std::optional<int64_t> size_bytes = std::nullopt;
};

// Returns a view of `elements`, which must outlive the view. `shape` sets the rank, for example 4
// for {batch, heads, n, d}. A call refuses the view if `elements` do not fit the shape.
TensorView View(std::span<const float> elements, Shape shape);
TensorView View(std::span<const bool> elements, Shape shape);
// Returns a view of elements of FLOAT16 or BFLOAT16, which are given as bits.
TensorView View(std::span<const uint16_t> bits, DataType data_type, Shape shape);

// Returns View(elements, {rows, columns}).
TensorView Matrix(std::span<const float> elements, int64_t rows, int64_t columns);

// True if elements of this type are read as T: float for FLOAT32, int32_t for INT32, uint16_t for
// the bits of FLOAT16 and BFLOAT16.
template <typename T>
constexpr bool IsReadAs(DataType type) {
  if constexpr (std::same_as<T, float>) {
    return type == DataType::kFloat32;
  } else if constexpr (std::same_as<T, int32_t>) {
    return type == DataType::kInt32;
  } else {
    static_assert(std::same_as<T, uint16_t>, "elements are read as float, int32_t or uint16_t");
    return type == DataType::kFloat16 || type == DataType::kBfloat16;
  }
}

// A dense row-major tensor with its memory.
//
// Elements and Row end the process, with a message, if the tensor's type is not read as T, or if an
// index is out of range. Both are mistakes of the program, because Client has checked that a result
// has the type that was asked for.
struct Tensor {
  DataType data_type = DataType::kFloat32;
  Shape shape;
  Buffer data;

  TensorView View() const { return {data_type, shape, data.data()}; }

  // Returns all elements in row-major order. The span is valid as long as `data`.
  template <typename T>
  std::span<const T> Elements() const {
    return {reinterpret_cast<const T*>(data.data()), ElementsReadAs(IsReadAs<T>(data_type))};
  }

  // Returns a row, the elements along the last dimension. Takes an index for each other dimension,
  // for example Row<float>(query) of a matrix, or Row<float>(batch, head, query) at rank 4.
  template <typename T, std::integral... Index>
  std::span<const T> Row(Index... index) const {
    const size_t start = RowStart({static_cast<int64_t>(index)...});
    return Elements<T>().subspan(start, static_cast<size_t>(shape.back()));
  }

 private:
  // Returns the number of elements. Ends the process if `is_read_as` is false.
  size_t ElementsReadAs(bool is_read_as) const;
  // Returns the offset of a row, in elements.
  size_t RowStart(std::initializer_list<int64_t> index) const;
};

}  // namespace qkserve

#endif  // QKSERVE_TENSOR_H_
