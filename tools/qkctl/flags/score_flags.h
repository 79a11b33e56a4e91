#ifndef QKSERVE_TOOLS_QKCTL_FLAGS_SCORE_FLAGS_H_
#define QKSERVE_TOOLS_QKCTL_FLAGS_SCORE_FLAGS_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "qkserve/client.h"
#include "qkserve/tensor.h"

namespace qkserve {

// The flags of qkctl score: the files and options of one request, and where its answer goes. Those
// that other commands have too are in tensor_flags.h, key_set_flags.h and output_flags.h.

inline constexpr absl::string_view kScoreFlagsFile = "/qkctl/score_flags.cc";

// Whether the flags fit together. What depends on shapes is for the server to judge.
absl::Status CheckScoreFlags();

// A request with the memory of its tensors.
struct ScoreInputs {
  Tensor queries;
  std::optional<KeySetReference> key_set;
  Tensor keys;  // unless there is a key set
  std::optional<Tensor> values;
  std::optional<Tensor> mask;
  ScoreOptions options;  // refers to the tensors' elements, not to the tensors
};

// Reads the files that the flags name. Errors name the file.
absl::StatusOr<ScoreInputs> ReadScoreInputs();

// Paths are empty where nothing is to be written.
struct ScoreDestinations {
  std::string out;
  std::string indices_out;
  std::string log_sum_exp_out;
  std::string heatmap;
  bool receipt = false;
};
ScoreDestinations ScoreDestinationsFromFlags();

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_FLAGS_SCORE_FLAGS_H_
