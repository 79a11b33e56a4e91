#ifndef QKSERVE_TOOLS_QKCTL_OUTPUT_ANSWER_H_
#define QKSERVE_TOOLS_QKCTL_OUTPUT_ANSWER_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/flags.h"
#include "tools/qkctl/command.h"

namespace qkserve {

// Adds the flag --json, for commands that can answer in JSON. The value "" means text only. The
// value "-" means JSON only, on standard output.
void AddJsonFlag(Flags& flags, std::string* path);

// The options of a command that only asks the server something.
struct QuestionOptions : CommandOptions {
  std::string json;

  void AddFlags(Flags& flags) { AddJsonFlag(flags, &json); }
  std::vector<FlagFile> Outputs() const { return {{"json", json}}; }
};

// Prints the text, unless the JSON goes to standard output. Writes the JSON unless `path` is "".
// Members of the JSON keep their order. After OK, everything is written. Errors are those of
// WriteOutput and FlushStandardOutput.
absl::Status ShowAnswer(const std::string& text, const nlohmann::ordered_json& json,
                        const std::string& path);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_OUTPUT_ANSWER_H_
