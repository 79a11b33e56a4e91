#include "tools/qkctl/flags/json_flag.h"

#include <cstdio>

#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "tools/qkctl/output/file_output.h"

ABSL_FLAG(std::string, json, "",
          "File to write the answer to as JSON; - or --json alone for standard output, which then "
          "holds nothing else");

namespace qkserve {

std::vector<const char*> ExpandBareJson(absl::Span<const char* const> args) {
  std::vector<const char*> expanded(args.begin(), args.end());
  for (size_t i = 0; i < expanded.size(); ++i) {
    const absl::string_view arg = expanded[i];
    if (arg == "--") break;
    if (arg != "--json" && arg != "-json") continue;
    if (i + 1 == expanded.size() || absl::StartsWith(expanded[i + 1], "--")) {
      expanded[i] = "--json=-";
    }
  }
  return expanded;
}

absl::Status ShowAnswer(const std::string& text, const nlohmann::ordered_json& json) {
  const std::string path = absl::GetFlag(FLAGS_json);
  if (path != "-") std::fputs(text.c_str(), stdout);
  return path.empty() ? absl::OkStatus() : WriteJson(path, json);
}

absl::Status WriteJson(const std::string& path, const nlohmann::ordered_json& json) {
  // Text that is not UTF-8 is replaced, not refused: it would be a server's mistake.
  const std::string text =
      json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  return WriteFileWhole(path, {text});
}

}  // namespace qkserve
