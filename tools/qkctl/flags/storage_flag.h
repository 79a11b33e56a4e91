#ifndef QKSERVE_TOOLS_QKCTL_FLAGS_STORAGE_FLAG_H_
#define QKSERVE_TOOLS_QKCTL_FLAGS_STORAGE_FLAG_H_

#include <optional>
#include <string>

#include "absl/flags/declare.h"
#include "absl/strings/string_view.h"
#include "qkserve/tensor.h"

namespace qkserve {

inline constexpr absl::string_view kStorageFlagFile = "/qkctl/storage_flag.cc";

// float32, float16 or bfloat16.
struct FloatTypeFlag {
  DataType value = DataType::kFloat32;
};
bool AbslParseFlag(absl::string_view text, FloatTypeFlag* type, std::string* error);
std::string AbslUnparseFlag(const FloatTypeFlag& type);

// What a key set is to be kept in.
std::optional<DataType> StorageFromFlag();

}  // namespace qkserve

ABSL_DECLARE_FLAG(std::optional<qkserve::FloatTypeFlag>, storage);

#endif  // QKSERVE_TOOLS_QKCTL_FLAGS_STORAGE_FLAG_H_
