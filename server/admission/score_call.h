#ifndef QKSERVE_SERVER_ADMISSION_SCORE_CALL_H_
#define QKSERVE_SERVER_ADMISSION_SCORE_CALL_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "core/scoring/problem.h"

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

// A call for scores, whatever protocol it came by. Fields mean what qkserve.v1.ScoreRequest says.
//
// The wire has checked the syntax: output and types are known, queries, keys and values are of a
// float type and rank 2 to 4, the mask is BOOL or of a float type and of rank 1 to 4, sizes are 0
// or more, data has exactly its length. A tensor that fails has the error to report. AdmitScore
// reports it in the tensor's turn, so a call with several errors gets the same one by any protocol.
// Nothing else is checked.
//
// All views point into what the call's Responder keeps.
struct ScoreCall {
  const ScoreFieldNames* names = nullptr;  // never null; static

  // As the caller wants it. Its keys have no shape if there are none.
  AttentionProblem problem;
  struct {
    absl::Status queries, keys, values, mask;
  } errors;
  std::optional<absl::string_view> key_set;  // its name; in the place of keys
  std::optional<int64_t> key_set_version;    // the one to insist on
  bool has_offset = false;
  bool log_sum_exp = false;

  // On the batcher's clock.
  absl::Time arrival;
  absl::Time deadline = absl::InfiniteFuture();

  // Memory that the parsed request holds until it is answered.
  int64_t request_bytes = 0;

  bool has_keys() const { return !problem.keys.shape.empty() || !errors.keys.ok(); }
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ADMISSION_SCORE_CALL_H_
