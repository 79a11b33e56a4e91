#include "server/tls/tls_identity.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/invalid_argument.h"
#include "base/pem.h"
#include "base/status_macros.h"
#include "server/tls/gnutls_identity.h"

namespace qkserve {
namespace {

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%SZ", time, absl::UTCTimeZone());
}

absl::Status CheckTimes(const std::string& file, const CertificateTimes& times, absl::Time now) {
  if (now > times.end) return FormatError(file, "expired at ", TimeText(times.end));
  if (now >= times.begin) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(file, ": is valid only from ", TimeText(times.begin), " on"));
}

}  // namespace

absl::StatusOr<TlsIdentity> CheckTlsIdentity(const TlsPaths& paths,
                                             const std::vector<std::string>& contents,
                                             absl::Time now) {
  TlsIdentity identity = {.chain = contents[0],
                          .key = contents[1],
                          .client_ca = paths.client_ca.empty() ? "" : contents[2],
                          .expires = {}};
  ASSIGN_OR_RETURN(const CertificateTimes times,
                   CheckIdentity({paths.cert, identity.chain}, {paths.key, identity.key}));
  RETURN_IF_ERROR(CheckTimes(paths.cert, times, now));
  if (!CanGnuTlsUse(identity)) {
    return FormatError(paths.cert, "GnuTLS, which serves HTTP, cannot use it with its key");
  }
  if (!paths.client_ca.empty()) {
    RETURN_IF_ERROR(CheckCertificates({paths.client_ca, identity.client_ca}).status());
  }
  identity.expires = times.end;
  return identity;
}

}  // namespace qkserve
