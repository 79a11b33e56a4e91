#include "server/rpc/key_set_metadata.h"

#include "absl/strings/str_cat.h"
#include "base/utf8.h"

namespace qkserve {

absl::Status CheckKeySetMetadata(const grpc::ServerContextBase& context, absl::string_view name) {
  constexpr char kKey[] = "qkserve-key-set";
  constexpr size_t kShownMax = 128;
  const auto [begin, end] = context.client_metadata().equal_range(kKey);
  for (auto entry = begin; entry != end; ++entry) {
    const absl::string_view value(entry->second.data(), entry->second.size());
    if (value == name) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("metadata ", kKey, ": got '", Utf8Prefix(value, kShownMax), "', expected '",
                     Utf8Prefix(name, kShownMax), "' as in the message"));
  }
  return absl::OkStatus();
}

}  // namespace qkserve
