#ifndef QKSERVE_BASE_LIMIT_ERROR_H_
#define QKSERVE_BASE_LIMIT_ERROR_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"

namespace qkserve {

// Keys of a status's payloads. The values are the name of a limit, and milliseconds as decimal
// text.
inline constexpr char kLimitPayload[] = "qkserve.limit";
inline constexpr char kRetryPayload[] = "qkserve.retry_after_ms";

// Returns RESOURCE_EXHAUSTED with the name of the limit that refused. The name is the option that
// sets the limit, for example "queue_time_max", or "deadline" if the caller set the limit. Metrics
// count refusals by this name.
inline absl::Status LimitError(absl::string_view limit, absl::string_view message) {
  absl::Status status = absl::ResourceExhaustedError(message);
  status.SetPayload(kLimitPayload, absl::Cord(limit));
  return status;
}

// Returns the name of the limit, or "" if the status names none.
inline std::string LimitOf(const absl::Status& status) {
  const absl::optional<absl::Cord> limit = status.GetPayload(kLimitPayload);
  return limit.has_value() ? std::string(*limit) : std::string();
}

// Adds to a refusal the time after which a retry may help, in whole milliseconds.
inline absl::Status WithRetryAfter(absl::Status status, absl::Duration after) {
  status.SetPayload(kRetryPayload, absl::Cord(absl::StrCat(absl::ToInt64Milliseconds(after))));
  return status;
}

// Returns a point in [0, 1) for the number of a refusal. The points of successive numbers spread
// evenly, and no point comes twice (multiples of the golden ratio; Knuth, The Art of Computer
// Programming, section 6.4).
inline double SpreadPoint(uint64_t number) {
  constexpr uint64_t kStep = 0x9e3779b97f4a7c15;  // 2^64 divided by the golden ratio
  constexpr double kUnit = 1.0 / (int64_t{1} << 53);
  return static_cast<double>((number * kStep) >> 11) * kUnit;
}

// Returns the time after which the caller of refusal `number` may come again, from `shortest` to
// twice as long. The times differ so that callers who were refused together do not come back
// together.
inline absl::Duration SpreadRetryAfter(absl::Duration shortest, uint64_t number) {
  return shortest + shortest * SpreadPoint(number);
}

// Returns the time after which a retry may help, or nullopt if the status does not say.
inline absl::optional<absl::Duration> RetryAfterOf(const absl::Status& status) {
  const absl::optional<absl::Cord> text = status.GetPayload(kRetryPayload);
  int64_t ms = 0;
  if (!text.has_value() || !absl::SimpleAtoi(std::string(*text), &ms)) return absl::nullopt;
  return absl::Milliseconds(ms);
}

}  // namespace qkserve

#endif  // QKSERVE_BASE_LIMIT_ERROR_H_
