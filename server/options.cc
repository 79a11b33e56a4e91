#include "server/options.h"

#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/lifecycle/address.h"

namespace qkserve {
namespace {

absl::Status CheckRange(const char* name, int64_t value, int64_t min, int64_t max) {
  if (value >= min && value <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " must be from ", min, " to ", max, "; was ", value));
}

absl::Status CheckPositive(const char* name, absl::Duration value) {
  if (value > absl::ZeroDuration()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " must be positive; was ", absl::FormatDuration(value)));
}

absl::Status CheckNotNegative(const char* name, absl::Duration value) {
  if (value >= absl::ZeroDuration()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " must not be negative; was ", absl::FormatDuration(value)));
}

absl::Status CheckFinite(const char* name, absl::Duration value) {
  if (value < absl::InfiniteDuration()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " must be finite; was inf"));
}

}  // namespace

absl::Status ServerOptions::Validate() const {
  constexpr int64_t kWorkersMax = 1024;
  absl::Status status;
  if (!absl::StartsWith(listen_address, "unix:")) {
    status.Update(ParseHostPort("listen_address", listen_address, "unix:PATH").status());
  }
  if (!http_address.empty()) {
    status.Update(ParseHostPort("http_address", http_address, "nothing for no HTTP").status());
  }
  status.Update(CheckRange("workers", workers, 0, kWorkersMax));
  status.Update(CheckRange("message_bytes_max", message_bytes_max, 2 * kResponseOverheadBytesMax,
                           std::numeric_limits<int32_t>::max()));
  status.Update(CheckRange("in_flight_bytes_max", in_flight_bytes_max, kMiB,
                           std::numeric_limits<int64_t>::max()));
  status.Update(
      CheckRange("key_set_memory", key_set_memory, 0, std::numeric_limits<int64_t>::max()));
  if (key_set_dir_read_only && key_set_dir.empty()) {
    status.Update(absl::InvalidArgumentError("key_set_dir_read_only needs a key_set_dir"));
  }
  if (upload_idle_timeout < absl::Milliseconds(1)) {
    status.Update(
        absl::InvalidArgumentError(absl::StrCat("upload_idle_timeout must be at least 1ms; was ",
                                                absl::FormatDuration(upload_idle_timeout))));
  }
  status.Update(CheckPositive("key_set_refresh", key_set_refresh));
  status.Update(CheckNotNegative("connection_age", connection_age));
  status.Update(CheckNotNegative("keepalive_interval_min", keepalive_interval_min));
  status.Update(
      CheckRange("queue_requests_max", queue_requests_max, 1, std::numeric_limits<int32_t>::max()));
  status.Update(CheckPositive("queue_time_max", queue_time_max));
  status.Update(CheckNotNegative("slow_request_threshold", slow_request_threshold));
  status.Update(CheckNotNegative("drain_grace", drain_grace));
  status.Update(CheckFinite("drain_grace", drain_grace));
  status.Update(CheckPositive("drain_timeout", drain_timeout));
  return status;
}

}  // namespace qkserve
