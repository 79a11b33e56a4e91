#ifndef QKSERVE_CALLER_H_
#define QKSERVE_CALLER_H_

#include <array>
#include <cstddef>

#include "absl/strings/string_view.h"

namespace qkserve {

// Names of the metadata that tell who pays for a call, and how urgent the call is. docs/tenants.md
// explains them.
//
// A tenant's name has 1 to 128 characters of A-Z a-z 0-9 . _ - : @ /. A server that authenticates
// its callers ignores the name.
inline constexpr char kTenantMetadata[] = "qkserve-tenant";
inline constexpr char kPriorityMetadata[] = "qkserve-priority";

// A tenant's normal calls go before its low ones. The priorities of different tenants are not
// compared, because a tenant must not gain more than its share.
enum class Priority { kNormal, kLow };

// The values of kPriorityMetadata. A call without this metadata is normal.
inline constexpr std::array<absl::string_view, 2> kPriorityNames = {"normal", "low"};
inline constexpr int kPriorities = static_cast<int>(kPriorityNames.size());

inline absl::string_view PriorityName(Priority priority) {
  return kPriorityNames[static_cast<size_t>(priority)];
}

}  // namespace qkserve

#endif  // QKSERVE_CALLER_H_
