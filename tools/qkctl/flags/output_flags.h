#ifndef QKSERVE_TOOLS_QKCTL_FLAGS_OUTPUT_FLAGS_H_
#define QKSERVE_TOOLS_QKCTL_FLAGS_OUTPUT_FLAGS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/flags/declare.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "qkserve/output.h"

namespace qkserve {

inline constexpr absl::string_view kOutputFlagsFile = "/qkctl/output_flags.cc";

// --output=scores|capped|...
struct OutputFlag {
  Output value = Output::kScores;
};
bool AbslParseFlag(absl::string_view text, OutputFlag* output, std::string* error);
std::string AbslUnparseFlag(const OutputFlag& output);

// "top_k"
absl::string_view OutputName(Output output);

// --output, or scores.
OutputFlag OutputFromFlag();

// INVALID_ARGUMENT: the k of --top_k is missing, has no use, or is less than 1.
absl::Status CheckTopK(Output output, std::optional<int64_t> top_k);

}  // namespace qkserve

// What is asked for.
ABSL_DECLARE_FLAG(std::optional<qkserve::OutputFlag>, output);
ABSL_DECLARE_FLAG(std::optional<int64_t>, top_k);

#endif  // QKSERVE_TOOLS_QKCTL_FLAGS_OUTPUT_FLAGS_H_
