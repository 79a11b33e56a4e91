#include "server/options.h"

#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/byte_size.h"
#include "server/lifecycle/listen_address.h"

namespace qkserve {
namespace {

constexpr int64_t kNoMax = std::numeric_limits<int64_t>::max();

absl::Status CheckRange(const char* name, int64_t value, int64_t min, int64_t max) {
  if (value >= min && value <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " must be from ", min, " to ", max, "; was ", value));
}

// `max` is kNoMax if there is no maximum.
absl::Status CheckBytes(const char* name, int64_t value, int64_t min, int64_t max = kNoMax) {
  if (value >= min && value <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " must be ", max == kNoMax ? "at least " : "from ", FormatByteSize(min),
                   max == kNoMax ? "" : absl::StrCat(" to ", FormatByteSize(max)), "; was ",
                   FormatByteSize(value)));
}

absl::Status CheckTime(const char* name, absl::Duration value, const char* rule, bool fits) {
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " must ", rule, "; was ", absl::FormatDuration(value)));
}

absl::Status CheckPositive(const char* name, absl::Duration value) {
  return CheckTime(name, value, "be positive", value > absl::ZeroDuration());
}

absl::Status CheckNotNegative(const char* name, absl::Duration value) {
  return CheckTime(name, value, "not be negative", value >= absl::ZeroDuration());
}

// Checks that each of these flags comes with the flag that it needs.
absl::Status CheckTlsFlags(const ServerOptions& options) {
  if (options.tls_cert_file.empty() != options.tls_key_file.empty()) {
    return absl::InvalidArgumentError(options.tls_key_file.empty()
                                          ? "tls_cert_file needs a tls_key_file; was ''"
                                          : "tls_key_file needs a tls_cert_file; was ''");
  }
  if (!options.tls_client_ca_file.empty() && options.tls_cert_file.empty()) {
    return absl::InvalidArgumentError("tls_client_ca_file needs a tls_cert_file; was ''");
  }
  return absl::OkStatus();
}

}  // namespace

bool ParseFlag(absl::string_view text, LoggedRequests* requests, std::string* error) {
  *error = "expected slow or errors";
  *requests = text == "errors" ? LoggedRequests::kErrors : LoggedRequests::kSlow;
  return text == FlagText(*requests);
}

std::string FlagText(LoggedRequests requests) {
  return requests == LoggedRequests::kErrors ? "errors" : "slow";
}

absl::Status ServerOptions::Validate() const {
  constexpr int64_t kWorkersMax = 1024;
  constexpr int64_t kIntMax = std::numeric_limits<int32_t>::max();
  absl::Status status;
  if (!absl::StartsWith(listen_address, "unix:")) {
    status.Update(ParseHostPort(kListenAddressFlag, listen_address).status());
  }
  if (!http_address.empty()) {
    status.Update(ParseHostPort(kHttpAddressFlag, http_address).status());
  }
  status.Update(CheckTlsFlags(*this));
  status.Update(CheckRange("workers", workers, 0, kWorkersMax));
  status.Update(
      CheckBytes("message_bytes_max", message_bytes_max, 2 * kResponseOverheadBytesMax, kIntMax));
  status.Update(CheckBytes("in_flight_bytes_max", in_flight_bytes_max, kMiB));
  status.Update(CheckBytes("key_set_memory", key_set_memory, 0));
  if (key_set_dir_read_only && key_set_dir.empty()) {
    status.Update(absl::InvalidArgumentError("key_set_dir_read_only needs a key_set_dir"));
  }
  status.Update(CheckTime("upload_idle_timeout", upload_idle_timeout, "be at least 1ms",
                          upload_idle_timeout >= absl::Milliseconds(1)));
  status.Update(CheckPositive("key_set_refresh", key_set_refresh));
  status.Update(CheckPositive("file_check_interval", file_check_interval));
  status.Update(CheckNotNegative("connection_age", connection_age));
  status.Update(CheckNotNegative("connection_grace", connection_grace));
  status.Update(CheckNotNegative("reply_timeout", reply_timeout));
  status.Update(CheckRange("connections_max", connections_max, 1, kIntMax));
  status.Update(CheckRange("connections_per_peer_max", connections_per_peer_max, 0, kIntMax));
  status.Update(CheckNotNegative("keepalive_interval_min", keepalive_interval_min));
  status.Update(CheckRange("queue_requests_max", queue_requests_max, 1, kIntMax));
  status.Update(CheckPositive("queue_time_max", queue_time_max));
  status.Update(CheckNotNegative("slow_request_threshold", slow_request_threshold));
  status.Update(CheckNotNegative("drain_grace", drain_grace));
  status.Update(
      CheckTime("drain_grace", drain_grace, "be finite", drain_grace < absl::InfiniteDuration()));
  status.Update(CheckPositive("drain_timeout", drain_timeout));
  return status;
}

}  // namespace qkserve
