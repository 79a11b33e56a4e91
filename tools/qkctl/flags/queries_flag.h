#ifndef QKSERVE_TOOLS_QKCTL_FLAGS_QUERIES_FLAG_H_
#define QKSERVE_TOOLS_QKCTL_FLAGS_QUERIES_FLAG_H_

#include <string>

#include "absl/flags/declare.h"
#include "absl/strings/string_view.h"

// File of queries.
ABSL_DECLARE_FLAG(std::string, queries);

namespace qkserve {

inline constexpr absl::string_view kQueriesFlagFile = "/qkctl/queries_flag.cc";

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_FLAGS_QUERIES_FLAG_H_
