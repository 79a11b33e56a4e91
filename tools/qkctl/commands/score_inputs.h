#ifndef QKSERVE_TOOLS_QKCTL_COMMANDS_SCORE_INPUTS_H_
#define QKSERVE_TOOLS_QKCTL_COMMANDS_SCORE_INPUTS_H_

#include <optional>

#include "absl/status/statusor.h"
#include "qkserve/client.h"
#include "qkserve/tensor.h"
#include "tools/qkctl/commands/score_options.h"

namespace qkserve {

// A request with the memory of its tensors.
struct ScoreInputs {
  Tensor queries;
  std::optional<KeySetReference> key_set;
  Tensor keys;  // unless there is a key set
  std::optional<Tensor> values;
  std::optional<Tensor> mask;
  ScoreOptions options;  // refers to the tensors' elements, not to the tensors
};

// Reads the files that the options name. Errors name the file.
absl::StatusOr<ScoreInputs> ReadScoreInputs(const ScoreCommandOptions& command);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMMANDS_SCORE_INPUTS_H_
