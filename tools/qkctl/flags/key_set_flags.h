#ifndef QKSERVE_TOOLS_QKCTL_FLAGS_KEY_SET_FLAGS_H_
#define QKSERVE_TOOLS_QKCTL_FLAGS_KEY_SET_FLAGS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/flags/declare.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "qkserve/key_set.h"

// The key set of a request.
ABSL_DECLARE_FLAG(std::string, key_set);
ABSL_DECLARE_FLAG(std::optional<int64_t>, key_set_version);

namespace qkserve {

inline constexpr absl::string_view kKeySetFlagsFile = "/qkctl/key_set_flags.cc";

// INVALID_ARGUMENT: a version without a set.
absl::Status CheckKeySetFlags();

// nullopt: --key_set was not given.
std::optional<KeySetReference> KeySetFromFlags();

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_FLAGS_KEY_SET_FLAGS_H_
