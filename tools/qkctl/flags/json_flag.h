#ifndef QKSERVE_TOOLS_QKCTL_FLAGS_JSON_FLAG_H_
#define QKSERVE_TOOLS_QKCTL_FLAGS_JSON_FLAG_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

// Where the commands that can answer in JSON write it; "" for text, "-" for standard output.
ABSL_DECLARE_FLAG(std::string, json);

namespace qkserve {

inline constexpr absl::string_view kJsonFlagFile = "/qkctl/json_flag.cc";

// The arguments with "--json" alone, where no file name can be meant (it is the last one, or a flag
// follows), written out as "--json=-".
std::vector<const char*> ExpandBareJson(absl::Span<const char* const> args);

// Shows a command's answer where --json says: the text, unless standard output is for the JSON
// alone, and the JSON where it is asked for.
absl::Status ShowAnswer(const std::string& text, const nlohmann::ordered_json& json);

// Members keep the order in which they were added.
absl::Status WriteJson(const std::string& path, const nlohmann::ordered_json& json);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_FLAGS_JSON_FLAG_H_
