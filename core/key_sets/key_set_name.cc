#include "core/key_sets/key_set_name.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/utf8.h"

namespace qkserve {

absl::Status ValidateKeySetName(absl::string_view name) {
  constexpr size_t kSizeMax = 128;
  const bool valid = !name.empty() && name.size() <= kSizeMax && name[0] != '.' &&
                     std::all_of(name.begin(), name.end(), [](char c) {
                       return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' ||
                              c == '_' || c == '-';
                     });
  if (valid) return absl::OkStatus();
  // Only the beginning is shown, with escapes, because a caller's name may be long and may have any
  // bytes.
  const absl::string_view shown = Utf8Prefix(name, kSizeMax);
  return absl::InvalidArgumentError(absl::StrCat(
      "name: got \"", absl::CHexEscape(shown), shown.size() < name.size() ? "...\"" : "\"",
      ", expected 1 to 128 of A-Z a-z 0-9 . _ - and no leading dot"));
}

}  // namespace qkserve
