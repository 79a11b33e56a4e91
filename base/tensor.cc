#include "qkserve/tensor.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace qkserve {
namespace {

struct TypeInfo {
  absl::string_view name;
  int64_t bytes;
};
// Indexed by the value of the enum. Index 0 stands for numbers that are no type.
constexpr TypeInfo kTypes[] = {{"unknown", 1},  {"FLOAT32", 4}, {"FLOAT16", 2},
                               {"BFLOAT16", 2}, {"BOOL", 1},    {"INT32", 4}};

const TypeInfo& InfoOf(DataType type) {
  const auto value = static_cast<int>(type);
  return kTypes[IsDataType(value) ? value : 0];
}

}  // namespace

bool IsDataType(int value) { return value >= 1 && value <= 5; }

bool IsFloatType(int value) { return value >= 1 && value <= 3; }

absl::string_view DataTypeName(DataType type) { return InfoOf(type).name; }

int64_t ElementBytes(DataType type) { return InfoOf(type).bytes; }

std::optional<int64_t> ElementCount(absl::Span<const int64_t> shape) {
  int64_t count = 1;
  bool empty = false;
  for (const int64_t size : shape) {
    if (size < 0) return std::nullopt;
    // Sizes of 0 are left out of the product. So the product of any of the sizes fits in 64 bits.
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

}  // namespace qkserve
