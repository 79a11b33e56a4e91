#ifndef QKSERVE_CORE_LIMIT_ERROR_H_
#define QKSERVE_CORE_LIMIT_ERROR_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

namespace qkserve {

inline constexpr char kLimitPayload[] = "qkserve.limit";

// RESOURCE_EXHAUSTED that knows which limit refused: the name of the option that sets it, for
// example "queue_time_max". Metrics count refusals by it.
inline absl::Status LimitError(absl::string_view limit, absl::string_view message) {
  absl::Status status = absl::ResourceExhaustedError(message);
  status.SetPayload(kLimitPayload, absl::Cord(limit));
  return status;
}

// The limit, or "" where the status names none.
inline std::string LimitOf(const absl::Status& status) {
  const absl::optional<absl::Cord> limit = status.GetPayload(kLimitPayload);
  return limit.has_value() ? std::string(*limit) : std::string();
}

}  // namespace qkserve

#endif  // QKSERVE_CORE_LIMIT_ERROR_H_
