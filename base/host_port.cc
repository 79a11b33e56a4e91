#include "base/host_port.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace qkserve {
namespace {

// Reads a port, which has only digits. SimpleAtoi alone would accept a sign and spaces, too.
bool ReadPort(absl::string_view text, int& port) {
  return std::all_of(text.begin(), text.end(), absl::ascii_isdigit) &&
         absl::SimpleAtoi(text, &port) && port <= kPortMax;
}

// Removes the brackets. Returns false if `host` cannot be a host.
bool ReadHost(absl::string_view& host) {
  const bool has_brackets = absl::ConsumePrefix(&host, "[");
  if (has_brackets && !absl::ConsumeSuffix(&host, "]")) return false;
  return !host.empty() && host.find_first_of(has_brackets ? "[]" : "[]:") == host.npos;
}

}  // namespace

std::optional<HostPort> ReadHostPort(absl::string_view text, std::optional<int> default_port) {
  absl::string_view host = text;
  int port = default_port.value_or(0);
  const size_t colon = text.rfind(':');
  if (colon != absl::string_view::npos && !absl::EndsWith(text, "]")) {
    host = text.substr(0, colon);
    if (!ReadPort(text.substr(colon + 1), port)) return std::nullopt;
  } else if (!default_port.has_value()) {
    return std::nullopt;
  }
  if (!ReadHost(host)) return std::nullopt;
  return HostPort{std::string(host), port};
}

}  // namespace qkserve
