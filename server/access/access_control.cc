#include "server/access/access_control.h"

#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/access/identity.h"

namespace qkserve {
namespace {

constexpr char kMetadata[] = "authorization";
constexpr absl::string_view kScheme = "Bearer ";

// Returns the error text for a call without identity, which says what the call lacks.
constexpr const char* NobodyText(const AccessSources& sources) {
  if (sources.token_file && sources.certificates) {
    return "the call has no identity: expected metadata authorization with 'Bearer TOKEN', or a "
           "client certificate with one URI, a DNS name or a common name";
  }
  if (sources.token_file) {
    return "the call has no identity: expected metadata authorization with 'Bearer TOKEN'";
  }
  if (sources.certificates) {
    return "the call has no identity: expected a client certificate with one URI, a DNS "
           "name or a common name";
  }
  return "the server lets nobody in: its access file has no lines about anyone, and it takes "
         "neither tokens nor client certificates";
}

}  // namespace

absl::Status AccessControl::Unauthenticated(UnauthenticatedReason reason,
                                            absl::string_view message) const {
  unauthenticated_[static_cast<size_t>(reason)].fetch_add(1, std::memory_order_relaxed);
  return absl::UnauthenticatedError(message);
}

// No error shows the metadata, because the metadata may be a token.
absl::StatusOr<std::string> AccessControl::IdentityOfToken(const grpc::ServerContextBase& context,
                                                           const Contents& contents) const {
  const auto [begin, end] = context.client_metadata().equal_range(kMetadata);
  if (begin == end) return "";
  const absl::string_view value(begin->second.data(), begin->second.size());
  if (std::next(begin) != end || !absl::StartsWithIgnoreCase(value, kScheme)) {
    return Unauthenticated(UnauthenticatedReason::kToken,
                           absl::StrCat("metadata ", kMetadata, ": expected one 'Bearer TOKEN'"));
  }
  const std::string* const identity = contents.tokens->Find(value.substr(kScheme.size()));
  if (identity != nullptr) return *identity;
  return Unauthenticated(UnauthenticatedReason::kToken,
                         absl::StrCat("metadata ", kMetadata, ": this server knows no such token"));
}

absl::StatusOr<Grant> AccessControl::Authenticate(const grpc::ServerContextBase& context) const {
  Grant grant;
  if (!has_identities() && !sources_.access_file) return grant;
  const Contents contents = Current();
  // No call is let in before the files are read, because without rules every caller might do
  // everything.
  if ((sources_.token_file && contents.tokens == nullptr) ||
      (sources_.access_file && contents.rules == nullptr)) {
    return absl::UnavailableError(
        "the server has not read its files of tokens and permissions yet");
  }
  if (sources_.token_file) {
    ASSIGN_OR_RETURN(grant.identity, IdentityOfToken(context, contents));
  }
  if (grant.identity.empty() && sources_.certificates) {
    grant.identity = IdentityOfCertificate(*context.auth_context());
  }
  if (contents.rules != nullptr) {
    // This pointer shares the ownership of all rules.
    grant.permissions =
        std::shared_ptr<const Permissions>(contents.rules, &contents.rules->For(grant.identity));
  }
  const bool is_open =
      contents.rules != nullptr ? contents.rules->AdmitsAnyone() : !sources_.token_file;
  if (!grant.identity.empty() || is_open) return grant;
  return Unauthenticated(UnauthenticatedReason::kNone, NobodyText(sources_));
}

absl::Status AccessControl::SetTokenFile(absl::string_view text) {
  ASSIGN_OR_RETURN(TokenTable table, ParseTokenFile(text));
  // The old table, which may be large, is freed after the lock is released.
  std::shared_ptr<const TokenTable> tokens = std::make_shared<TokenTable>(std::move(table));
  MutexLock lock(&mutex_);
  contents_.tokens.swap(tokens);
  return absl::OkStatus();
}

absl::Status AccessControl::SetAccessFile(absl::string_view text) {
  ASSIGN_OR_RETURN(std::shared_ptr<const AccessRules> rules, ParseAccessFile(text));
  MutexLock lock(&mutex_);
  contents_.rules.swap(rules);
  return absl::OkStatus();
}

}  // namespace qkserve
