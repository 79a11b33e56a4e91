#include "qkserve/tensor.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace qkserve {

bool IsDataType(int value) { return value >= 1 && value <= 5; }

bool IsFloatType(int value) { return value >= 1 && value <= 3; }

absl::string_view DataTypeName(DataType type) {
  switch (type) {
    case DataType::kFloat32:
      return "FLOAT32";
    case DataType::kFloat16:
      return "FLOAT16";
    case DataType::kBfloat16:
      return "BFLOAT16";
    case DataType::kBool:
      return "BOOL";
    case DataType::kInt32:
      return "INT32";
  }
  return "unknown";
}

int64_t ElementBytes(DataType type) {
  switch (type) {
    case DataType::kFloat32:
    case DataType::kInt32:
      return 4;
    case DataType::kFloat16:
    case DataType::kBfloat16:
      return 2;
    case DataType::kBool:
      return 1;
  }
  return 1;
}

std::optional<int64_t> ElementCount(absl::Span<const int64_t> shape) {
  int64_t count = 1;
  bool empty = false;
  for (const int64_t size : shape) {
    if (size < 0) return std::nullopt;
    // A size of 0 does not excuse the others: products of any of the sizes then fit as well.
    if (size == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(count, size, &count)) {
      return std::nullopt;
    }
  }
  return empty ? 0 : count;
}

std::string ShapeString(absl::Span<const int64_t> shape) {
  constexpr size_t kShown = 8;
  return absl::StrCat("[", absl::StrJoin(shape.subspan(0, std::min(shape.size(), kShown)), ", "),
                      shape.size() > kShown ? ", ...]" : "]");
}

}  // namespace qkserve
