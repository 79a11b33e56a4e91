#ifndef QKSERVE_TOOLS_QKCTL_COMMANDS_SCORE_OPTIONS_H_
#define QKSERVE_TOOLS_QKCTL_COMMANDS_SCORE_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/flags.h"
#include "qkserve/output.h"
#include "qkserve/tensor.h"
#include "tools/qkctl/command.h"
#include "tools/qkctl/commands/flag_values.h"

namespace qkserve {

// --scale=X, or auto: 1/sqrt(d).
struct ScaleValue {
  bool is_auto = false;
  float value = 1;
};
bool ParseFlag(absl::string_view text, ScaleValue* scale, std::string* error);

// --key_lengths=N,N,... or the path of a file with them.
struct KeyLengthsValue {
  std::vector<int64_t> lengths;
  std::string path;  // empty: `lengths` holds them
};
bool ParseFlag(absl::string_view text, KeyLengthsValue* key_lengths, std::string* error);

// The options of qkctl score: one request, and where its answer goes. A path is empty if there is
// no file.
struct ScoreCommandOptions : CommandOptions {
  std::string queries, keys, values, mask;
  KeySetOptions key_set;

  std::optional<ScaleValue> scale;
  std::optional<float> softcap;
  bool causal = false;
  std::optional<int64_t> window_left, window_right, offset;
  std::optional<KeyLengthsValue> key_lengths;

  std::optional<Output> output;
  std::optional<int64_t> top_k;
  DataType result_type = DataType::kFloat32;

  std::string out, indices_out, log_sum_exp_out, heatmap;
  bool receipt = false;
  CallerOptions caller;

  void AddFlags(Flags& flags);

  // INVALID_ARGUMENT: flags do not fit together. The server checks what depends on shapes.
  absl::Status Validate() const;

  std::vector<FlagFile> Inputs() const;
  std::vector<FlagFile> Outputs() const;

  // Returns a warning that names the flags whose stages come after --output: "--causal and --offset
  // have no effect with --output=scores". Returns "" if there are none. This is no error, so that a
  // script can ask for each stage with the same flags.
  std::string WithoutEffect() const;

  Output OutputOrDefault() const { return output.value_or(Output::kScores); }
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMMANDS_SCORE_OPTIONS_H_
