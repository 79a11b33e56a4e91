#ifndef QKSERVE_CALLER_H_
#define QKSERVE_CALLER_H_

#include <array>
#include <cstddef>

#include "absl/strings/string_view.h"

namespace qkserve {

// Metadata by which a call says who pays for it, and how urgent it is. docs/tenants.md tells their
// meaning.
//
// A tenant's name has 1 to 128 of A-Z a-z 0-9 . _ - : @ /. A server that authenticates its callers
// ignores it.
inline constexpr char kTenantMetadata[] = "qkserve-tenant";
inline constexpr char kPriorityMetadata[] = "qkserve-priority";

// A tenant's normal calls go before its low ones. The priority changes nothing between tenants, so
// nobody gets more than a share by a claim.
enum class Priority { kNormal, kLow };

// The values of kPriorityMetadata. Without it a call is normal.
inline constexpr std::array<absl::string_view, 2> kPriorityNames = {"normal", "low"};
inline constexpr int kPriorities = static_cast<int>(kPriorityNames.size());

inline absl::string_view PriorityName(Priority priority) {
  return kPriorityNames[static_cast<size_t>(priority)];
}

}  // namespace qkserve

#endif  // QKSERVE_CALLER_H_
