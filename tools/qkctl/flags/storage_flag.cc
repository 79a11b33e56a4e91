#include "tools/qkctl/flags/storage_flag.h"

#include <array>
#include <cstddef>

#include "absl/flags/flag.h"

ABSL_FLAG(std::optional<qkserve::FloatTypeFlag>, storage, std::nullopt,
          "What the server keeps keys and values in: float32, float16 or bfloat16. 16 bits halve "
          "memory and reading time, and round to nearest. As they come unless given");

namespace qkserve {
namespace {

// By DataType, from its first.
constexpr std::array<absl::string_view, 3> kNames = {"float32", "float16", "bfloat16"};

}  // namespace

bool AbslParseFlag(absl::string_view text, FloatTypeFlag* type, std::string* error) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (text != kNames[i]) continue;
    type->value = static_cast<DataType>(i + 1);
    return true;
  }
  *error = "expected float32, float16 or bfloat16";
  return false;
}

std::string AbslUnparseFlag(const FloatTypeFlag& type) {
  return std::string(kNames[static_cast<size_t>(type.value) - 1]);
}

std::optional<DataType> StorageFromFlag() {
  const std::optional<FloatTypeFlag> flag = absl::GetFlag(FLAGS_storage);
  return flag.has_value() ? std::optional(flag->value) : std::nullopt;
}

}  // namespace qkserve
