#include "tools/qkctl/flags/output_flags.h"

#include <array>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

ABSL_FLAG(std::optional<qkserve::OutputFlag>, output, std::nullopt,
          "What to return: scores (unless given), capped, masked, weights, context or top_k");
ABSL_FLAG(std::optional<int64_t>, top_k, std::nullopt,
          "How many keys of each query, for --output=top_k, and only there");

namespace qkserve {
namespace {

// By Output, from its first.
constexpr std::array<absl::string_view, 6> kOutputNames = {"scores",  "capped",  "masked",
                                                           "weights", "context", "top_k"};

}  // namespace

absl::string_view OutputName(Output output) {
  return kOutputNames[static_cast<size_t>(output) - 1];
}

std::string AbslUnparseFlag(const OutputFlag& output) {
  return std::string(OutputName(output.value));
}

bool AbslParseFlag(absl::string_view text, OutputFlag* output, std::string* error) {
  for (size_t i = 0; i < kOutputNames.size(); ++i) {
    if (text != kOutputNames[i]) continue;
    output->value = static_cast<Output>(i + 1);
    return true;
  }
  *error = absl::StrCat("expected ", absl::StrJoin(kOutputNames, ", "));
  return false;
}

OutputFlag OutputFromFlag() { return absl::GetFlag(FLAGS_output).value_or(OutputFlag()); }

absl::Status CheckTopK(Output output, std::optional<int64_t> top_k) {
  const std::string with = absl::StrCat("--output=", OutputName(output));
  if (output == Output::kTopK && !top_k.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(with, " requires --top_k"));
  }
  if (output != Output::kTopK && top_k.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--top_k is for --output=top_k only; with ", with));
  }
  if (top_k.has_value() && *top_k < 1) {
    return absl::InvalidArgumentError(absl::StrCat("--top_k must be 1 or more; was ", *top_k));
  }
  return absl::OkStatus();
}

}  // namespace qkserve
