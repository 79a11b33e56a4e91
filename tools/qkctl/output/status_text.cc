#include "tools/qkctl/output/status_text.h"

#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/byte_size.h"
#include "tools/qkctl/output/terminal.h"
#include "tools/report/text_table.h"

namespace qkserve {
namespace {

std::optional<double> BatchRequestsMean(const v1::GetStatusResponse& status) {
  if (status.batches() <= 0) return std::nullopt;
  return static_cast<double>(status.requests_answered()) / static_cast<double>(status.batches());
}

// Returns the uptime without fractions of a second.
std::string Uptime(int64_t uptime_ns) {
  const absl::Duration uptime = absl::Trunc(absl::Nanoseconds(uptime_ns), absl::Seconds(1));
  // Abseil writes zero without a unit.
  return uptime == absl::ZeroDuration() ? "0s" : absl::FormatDuration(uptime);
}

}  // namespace

std::string StatusText(const v1::GetStatusResponse& status) {
  std::string text;
  const auto line = [&text](absl::string_view name, absl::string_view value) {
    absl::StrAppendFormat(&text, "%-20s%s\n", name, value);
  };
  line("version", Printable(status.version()));
  line("kernel", absl::StrFormat("%s, %.1f GFLOP/s per worker", Printable(status.kernel()),
                                 status.gflops_per_worker()));
  line("key set kernel", Printable(status.key_set_kernel()));
  line("workers", absl::StrCat(status.workers()));
  line("uptime", Uptime(status.uptime_ns()));
  line("queued requests", absl::StrCat(status.queued_requests()));
  line("queued cost",
       absl::StrFormat("%.3f ms of one worker",
                       absl::ToDoubleMilliseconds(absl::Nanoseconds(status.queued_cost_ns()))));
  line("in flight",
       absl::StrFormat("%s, %s of %s", CountText(status.in_flight_requests(), "request"),
                       RoundByteSize(status.in_flight_bytes()),
                       RoundByteSize(status.in_flight_bytes_max())));
  line("key sets",
       absl::StrFormat("%d, %s of %s", status.key_sets(), RoundByteSize(status.key_set_bytes()),
                       RoundByteSize(status.key_set_bytes_max())));
  line("requests answered", absl::StrCat(status.requests_answered()));
  line("batches", absl::StrCat(status.batches()));
  const std::optional<double> mean = BatchRequestsMean(status);
  line("requests a batch", mean.has_value() ? absl::StrFormat("%.2f", *mean) : "-");
  return text;
}

nlohmann::ordered_json StatusJson(const v1::GetStatusResponse& status) {
  nlohmann::ordered_json json = {
      {"version", status.version()},
      {"kernel", status.kernel()},
      {"gflops_per_worker", status.gflops_per_worker()},
      {"workers", status.workers()},
      {"uptime_ns", status.uptime_ns()},
      {"queued_requests", status.queued_requests()},
      {"queued_cost_ns", status.queued_cost_ns()},
      {"in_flight_requests", status.in_flight_requests()},
      {"in_flight_bytes", status.in_flight_bytes()},
      {"in_flight_bytes_max", status.in_flight_bytes_max()},
      {"requests_answered", status.requests_answered()},
      {"batches", status.batches()},
      {"key_sets", status.key_sets()},
      {"key_set_bytes", status.key_set_bytes()},
      {"key_set_bytes_max", status.key_set_bytes_max()},
      {"key_set_kernel", status.key_set_kernel()},
      {"batch_requests_mean", nullptr},
  };
  const std::optional<double> mean = BatchRequestsMean(status);
  if (mean.has_value()) json["batch_requests_mean"] = *mean;
  return json;
}

}  // namespace qkserve
