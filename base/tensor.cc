#include "qkserve/tensor.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace qkserve {
namespace {

struct TypeInfo {
  absl::string_view name;
  int64_t bytes;
};
// The index is the value of the enum. Index 0 stands for values that are no type.
constexpr TypeInfo kTypes[] = {{"unknown", 1},  {"FLOAT32", 4}, {"FLOAT16", 2},
                               {"BFLOAT16", 2}, {"BOOL", 1},    {"INT32", 4}};

const TypeInfo& InfoOf(DataType type) {
  const auto value = static_cast<int>(type);
  return kTypes[IsDataType(value) ? value : 0];
}

template <typename T>
TensorView ViewOf(std::span<const T> elements, DataType data_type, Shape shape) {
  const std::span<const std::byte> bytes = std::as_bytes(elements);
  return {data_type, std::move(shape), bytes.data(), static_cast<int64_t>(bytes.size())};
}

[[noreturn]] void EndProcess(const Tensor& tensor, const std::string& access) {
  std::fprintf(stderr, "qkserve: a tensor of %s %s was read %s\n",
               std::string(DataTypeName(tensor.data_type)).c_str(),
               ShapeString(tensor.shape).c_str(), access.c_str());
  std::abort();
}

}  // namespace

bool IsDataType(int value) { return value >= 1 && value < static_cast<int>(std::size(kTypes)); }

bool IsFloatType(int value) { return value >= 1 && value <= 3; }

absl::string_view DataTypeName(DataType type) { return InfoOf(type).name; }

int64_t ElementBytes(DataType type) { return InfoOf(type).bytes; }

std::optional<int64_t> ElementCount(absl::Span<const int64_t> shape) {
  int64_t count = 1;
  bool empty = false;
  for (const int64_t size : shape) {
    if (size < 0) return std::nullopt;
    // Sizes of 0 are left out of the product, so that the product of any subset of the sizes fits
    // in 64 bits.
    if (size == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(count, size, &count)) {
      return std::nullopt;
    }
  }
  return empty ? 0 : count;
}

std::optional<int64_t> ByteCount(absl::Span<const int64_t> shape, int64_t element_bytes) {
  const std::optional<int64_t> elements = ElementCount(shape);
  int64_t bytes = 0;
  if (!elements.has_value() || __builtin_mul_overflow(*elements, element_bytes, &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

std::string ShapeString(absl::Span<const int64_t> shape) {
  constexpr size_t kShown = 8;
  return absl::StrCat("[", absl::StrJoin(shape.subspan(0, std::min(shape.size(), kShown)), ", "),
                      shape.size() > kShown ? ", ...]" : "]");
}

static_assert(sizeof(bool) == 1);  // as in a tensor of BOOL

TensorView View(std::span<const float> elements, Shape shape) {
  return ViewOf(elements, DataType::kFloat32, std::move(shape));
}

TensorView View(std::span<const bool> elements, Shape shape) {
  return ViewOf(elements, DataType::kBool, std::move(shape));
}

TensorView View(std::span<const uint16_t> bits, DataType data_type, Shape shape) {
  return ViewOf(bits, data_type, std::move(shape));
}

TensorView Matrix(std::span<const float> elements, int64_t rows, int64_t columns) {
  return View(elements, Shape{rows, columns});
}

size_t Tensor::ElementsReadAs(bool is_read_as) const {
  if (!is_read_as) EndProcess(*this, "as elements of another type");
  return static_cast<size_t>(ElementCount(shape).value_or(0));
}

size_t Tensor::RowStart(std::initializer_list<int64_t> index) const {
  bool is_inside = index.size() + 1 == shape.size();
  int64_t row = 0;
  for (size_t i = 0; is_inside && i < index.size(); ++i) {
    const int64_t at = index.begin()[i];
    is_inside = at >= 0 && at < shape[i];
    row = row * shape[i] + at;
  }
  if (!is_inside) EndProcess(*this, absl::StrCat("at row ", ShapeString(index)));
  return static_cast<size_t>(row * shape.back());
}

}  // namespace qkserve
