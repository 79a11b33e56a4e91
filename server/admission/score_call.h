#ifndef QKSERVE_SERVER_ADMISSION_SCORE_CALL_H_
#define QKSERVE_SERVER_ADMISSION_SCORE_CALL_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "qkserve/output.h"
#include "qkserve/tensor.h"

namespace qkserve {

// A protocol's names for the fields of a score call: errors name what the caller sent.
struct ScoreFieldNames {
  const char* queries;
  const char* keys;
  const char* values;
  const char* key_set;
  const char* key_set_version;
  const char* scale;
  const char* softcap;
  const char* window_left;
  const char* window_right;
  const char* offset;
  const char* key_lengths;
  const char* mask;
  const char* top_k;
  const char* log_sum_exp;
};

// A key set that a call asks for.
struct KeySetQuery {
  absl::string_view name;
  std::optional<int64_t> version = std::nullopt;  // the one to insist on
};

// A call for scores, whatever protocol it came by. Fields mean what qkserve.v1.ScoreRequest says.
//
// The wire has checked the syntax: output and types are known, queries, keys and values are of a
// float type and rank 2 to 4, the mask is BOOL or of a float type and of rank 1 to 4, sizes are 0
// or more, data has exactly its length. A tensor that fails is the error to report. AdmitScore
// reports it in the tensor's turn, so a call with several errors gets the same one by any protocol.
// Nothing else is checked.
//
// All views point into what the call's Responder keeps.
struct ScoreCall {
  const ScoreFieldNames* names = nullptr;  // never null; static

  absl::StatusOr<TensorView> queries;
  std::optional<absl::StatusOr<TensorView>> keys;  // these, or a key set
  std::optional<KeySetQuery> key_set;
  std::optional<absl::StatusOr<TensorView>> values;

  Output output = Output::kScores;
  DataType result_type = DataType::kFloat32;
  int64_t top_k = 0;
  bool log_sum_exp = false;

  float scale = 1.0F;
  float softcap = 0.0F;
  bool is_causal = false;
  int64_t window_left = -1;
  int64_t window_right = -1;
  std::optional<int64_t> offset;
  absl::Span<const int64_t> key_lengths;
  std::optional<absl::StatusOr<TensorView>> mask;

  // On the batcher's clock.
  absl::Time arrival;
  absl::Time deadline = absl::InfiniteFuture();

  // Memory that the parsed request holds until it is answered.
  int64_t request_bytes = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ADMISSION_SCORE_CALL_H_
