#include "qkserve/metadata.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "base/invalid_argument.h"
#include "base/status_macros.h"
#include "qkserve/channel.h"

namespace qkserve {
namespace {

bool IsNameByte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return absl::ascii_islower(byte) || absl::ascii_isdigit(byte) || c == '-' || c == '_' || c == '.';
}

bool IsPrintable(char c) { return absl::ascii_isprint(static_cast<unsigned char>(c)); }

// gRPC would overwrite the first four headers, or send them to a server that then refuses the call.
// PrepareCall sets the last header.
constexpr absl::string_view kReserved[] = {"content-type", "host", "te", "user-agent",
                                           "qkserve-key-set"};

// Checks a name and its value, because gRPC ends the process over a bad name or value.
absl::Status CheckEntry(absl::string_view name, absl::string_view value) {
  if (name.empty() || !std::all_of(name.begin(), name.end(), IsNameByte)) {
    return InvalidArgument("metadata: got the name '", absl::CHexEscape(name),
                           "', expected lower-case letters, digits, '-', '_' and '.'");
  }
  if (absl::StartsWith(name, "grpc-") ||
      std::find(std::begin(kReserved), std::end(kReserved), name) != std::end(kReserved)) {
    return InvalidArgument("metadata: the name '", name,
                           "' belongs to gRPC or to the client library; choose another one");
  }
  const auto wrong = absl::EndsWith(name, "-bin")
                         ? value.end()
                         : std::find_if_not(value.begin(), value.end(), IsPrintable);
  if (wrong == value.end()) return absl::OkStatus();
  // The error does not show the value, because it may be a secret.
  return InvalidArgument(absl::StrFormat(
      "metadata: the value of '%s' has the byte 0x%02x at %d, expected printable ASCII; only names "
      "that end in -bin take any bytes",
      name, static_cast<unsigned char>(*wrong), wrong - value.begin()));
}

}  // namespace

Metadata CallerMetadata(const std::string& tenant, Priority priority) {
  Metadata metadata;
  if (!tenant.empty()) metadata.emplace_back(kTenantMetadata, tenant);
  if (priority != Priority::kNormal) {
    metadata.emplace_back(kPriorityMetadata, std::string(PriorityName(priority)));
  }
  return metadata;
}

absl::Status AddMetadata(grpc::ClientContext& context, const Metadata& metadata) {
  for (const auto& [name, value] : metadata) RETURN_IF_ERROR(CheckEntry(name, value));
  for (const auto& [name, value] : metadata) context.AddMetadata(name, value);
  return absl::OkStatus();
}

}  // namespace qkserve
