#ifndef QKSERVE_TESTS_FUZZ_MANIFEST_TEXT_H_
#define QKSERVE_TESTS_FUZZ_MANIFEST_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "core/key_sets/storage/checksum.h"
#include "formats/json_tokens.h"
#include "nlohmann/json.hpp"

namespace qkserve {

// Returns the JSON object in `text`. Returns null if `text` has no object, or if the object is
// nested too deeply to be written.
inline nlohmann::json ManifestObject(absl::string_view text) {
  constexpr int64_t kTokenBytesMax = 4096;
  constexpr int64_t kDepthMax = 16;
  if (!JsonTokens(kTokenBytesMax, kDepthMax).Accept(text)) return nullptr;
  nlohmann::json object =
      nlohmann::json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  return object.is_object() ? object : nlohmann::json();
}

// Returns a manifest with these members and the checksum that belongs to them. Random changes of a
// text would never find the right checksum.
inline std::string ManifestText(nlohmann::json object) {
  constexpr auto kReplace = nlohmann::json::error_handler_t::replace;
  object.erase("checksum");
  object["checksum"] = ChecksumText(ChecksumOf(object.dump(-1, ' ', false, kReplace)));
  return object.dump(1, ' ', false, kReplace) + "\n";
}

}  // namespace qkserve

#endif  // QKSERVE_TESTS_FUZZ_MANIFEST_TEXT_H_
