#ifndef QKSERVE_SERVER_ADMISSION_SCORE_CALL_H_
#define QKSERVE_SERVER_ADMISSION_SCORE_CALL_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "core/batching/job.h"
#include "core/scoring/problem.h"
#include "server/access/permissions.h"
#include "server/admission/tenants.h"

namespace qkserve {

// A protocol's names for the fields of a score call. Errors use these names, so that they name what
// the caller sent.
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

// A call for scores, in any protocol. Members mean what qkserve.v1.ScoreRequest says.
//
// The protocol's decoder has checked the syntax. Output and types are known. Queries, keys and
// values have a float type and rank 2 to 4. The mask has rank 1 to 4, and is BOOL or has a float
// type. Sizes are 0 or more, and data has exactly their length. Nothing else is checked. If a
// tensor fails these checks, its error is kept in `errors`. AdmitScore reports it in the tensor's
// turn, so that a call with several errors gets the same error in every protocol.
//
// All views point into memory that the call's Responder keeps.
struct ScoreCall {
  const ScoreFieldNames* names = nullptr;  // never null; static

  // The computation that the caller wants. If the call has no inline keys, problem.keys has no
  // shape.
  AttentionProblem problem;
  struct {
    absl::Status queries, keys, values, mask;
  } errors;
  std::optional<absl::string_view> key_set;  // name of a key set, instead of keys
  std::optional<int64_t> key_set_version;    // the version that the caller insists on
  bool has_offset = false;
  bool log_sum_exp = false;

  // The tenant that pays, and how urgent the call is for this tenant. Null: a tenant without a name
  // or a quota.
  std::shared_ptr<Tenant> tenant;
  Priority priority = Priority::kNormal;

  // The caller's permissions, valid until the call is admitted. Null: the caller may do everything.
  const Permissions* permissions = nullptr;

  // The time at which the whole request had arrived, on the batcher's clock. If it is not set, the
  // time at which the batcher gets the call counts.
  absl::Time arrival = absl::InfinitePast();
  absl::Time deadline = absl::InfiniteFuture();

  // The memory that the parsed request holds until the call is answered.
  int64_t request_bytes = 0;

  bool has_keys() const { return !problem.keys.shape.empty() || !errors.keys.ok(); }
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ADMISSION_SCORE_CALL_H_
