#ifndef QKSERVE_SERVER_ADMISSION_TENANT_QUOTAS_H_
#define QKSERVE_SERVER_ADMISSION_TENANT_QUOTAS_H_

#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace qkserve {

// The quota of each tenant, in seconds of CPU time a second. nullopt: no limit.
struct TenantQuotas {
  // The quota of every tenant that `rates` does not name.
  std::optional<double> default_rate = std::nullopt;
  std::map<std::string, std::optional<double>> rates = {};

  std::optional<double> RateOf(const std::string& tenant) const {
    const auto found = rates.find(tenant);
    return found != rates.end() ? found->second : default_rate;
  }
};

// Reads the text of --tenant_quota_file, a JSON object. docs/tenants.md has an example. Unknown
// and repeated members are errors.
//
// INVALID_ARGUMENT names the member, for example `tenants.web.cpu_ms_per_second`, or the line of a
// syntax error.
absl::StatusOr<TenantQuotas> ParseTenantQuotas(absl::string_view text);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ADMISSION_TENANT_QUOTAS_H_
