#ifndef QKSERVE_TOOLS_QKCTL_FLAGS_TENSOR_FLAGS_H_
#define QKSERVE_TOOLS_QKCTL_FLAGS_TENSOR_FLAGS_H_

#include <string>

#include "absl/flags/declare.h"
#include "absl/strings/string_view.h"

// Files of keys and values: to score against, or to put into a key set.
ABSL_DECLARE_FLAG(std::string, keys);
ABSL_DECLARE_FLAG(std::string, values);

namespace qkserve {

inline constexpr absl::string_view kTensorFlagsFile = "/qkctl/tensor_flags.cc";

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_FLAGS_TENSOR_FLAGS_H_
