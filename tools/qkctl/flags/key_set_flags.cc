#include "tools/qkctl/flags/key_set_flags.h"

#include "absl/flags/flag.h"

ABSL_FLAG(std::string, key_set, "",
          "Name of keys, and values, that are on the server; in place of sending them");
ABSL_FLAG(std::optional<int64_t>, key_set_version, std::nullopt,
          "Version of --key_set to insist on; the newest unless given");

namespace qkserve {

absl::Status CheckKeySetFlags() {
  if (absl::GetFlag(FLAGS_key_set).empty() && absl::GetFlag(FLAGS_key_set_version).has_value()) {
    return absl::InvalidArgumentError("--key_set_version requires --key_set");
  }
  return absl::OkStatus();
}

std::optional<KeySetReference> KeySetFromFlags() {
  std::string name = absl::GetFlag(FLAGS_key_set);
  if (name.empty()) return std::nullopt;
  return KeySetReference{std::move(name), absl::GetFlag(FLAGS_key_set_version)};
}

}  // namespace qkserve
