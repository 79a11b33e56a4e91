#include "server/rpc/caller_metadata.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "base/peer_prefix.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "qkserve/caller.h"
#include "server/admission/field_error.h"
#include "server/limits.h"

namespace qkserve {
namespace {

bool IsTenantCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("._-:@/", c);
}

// Returns INVALID_ARGUMENT. The value is cut and escaped, because it may be long and have any
// bytes.
absl::Status MetadataError(const char* key, absl::string_view value, absl::string_view expected) {
  constexpr size_t kShownMax = 128;
  return FieldError(absl::StrCat("metadata ", key),
                    absl::StrCat("'", absl::CHexEscape(Utf8Prefix(value, kShownMax)), "'"),
                    expected);
}

// Returns the value of this metadata, or nullopt if there is none. INVALID_ARGUMENT: there are
// several values.
absl::StatusOr<std::optional<std::string>> OnlyValue(const grpc::ServerContextBase& context,
                                                     const char* key) {
  const auto [begin, end] = context.client_metadata().equal_range(key);
  if (begin == end) return std::optional<std::string>();
  if (std::next(begin) != end) {
    return FieldError(absl::StrCat("metadata ", key), "several values", "one");
  }
  return std::optional<std::string>(std::string(begin->second.data(), begin->second.size()));
}

absl::StatusOr<std::string> TenantName(const grpc::ServerContextBase& context) {
  ASSIGN_OR_RETURN(std::optional<std::string> name, OnlyValue(context, kTenantMetadata));
  if (!name.has_value()) return PeerTenant(context.peer());
  if (name->empty() || name->size() > kTenantNameBytesMax ||
      !std::all_of(name->begin(), name->end(), IsTenantCharacter)) {
    return MetadataError(kTenantMetadata, *name,
                         absl::StrCat("1 to ", kTenantNameBytesMax, " of A-Z a-z 0-9 . _ - : @ /"));
  }
  return *std::move(name);
}

}  // namespace

std::string PeerTenant(absl::string_view peer) {
  if (absl::StartsWith(peer, "unix")) return "unix";
  // Most peers are IPv4. They need no PeerPrefix, because limits count whole IPv4 addresses.
  if (absl::ConsumePrefix(&peer, "ipv4:")) return std::string(peer.substr(0, peer.rfind(':')));
  if (absl::ConsumePrefix(&peer, "ipv6:")) peer = peer.substr(0, peer.rfind(':'));
  const std::string host =
      PeerPrefix(absl::StrReplaceAll(peer, {{"%5B", ""}, {"%5D", ""}, {"[", ""}, {"]", ""}}));
  return host.substr(0, kTenantNameBytesMax);
}

absl::StatusOr<Caller> ReadCaller(const grpc::ServerContextBase& context, std::string identity,
                                  bool has_identities, Tenants& tenants, absl::Time now) {
  Caller caller;
  ASSIGN_OR_RETURN(const std::optional<std::string> priority,
                   OnlyValue(context, kPriorityMetadata));
  if (priority == PriorityName(Priority::kLow)) {
    caller.priority = Priority::kLow;
  } else if (priority.has_value() && priority != PriorityName(Priority::kNormal)) {
    return MetadataError(kPriorityMetadata, *priority, absl::StrJoin(kPriorityNames, " or "));
  }
  const bool is_authenticated = !identity.empty();
  std::string name = std::move(identity);
  if (name.empty() && has_identities) {
    name = PeerTenant(context.peer());
  } else if (name.empty()) {
    ASSIGN_OR_RETURN(name, TenantName(context));
  }
  caller.tenant = tenants.Find(name, is_authenticated, now);
  return caller;
}

}  // namespace qkserve
