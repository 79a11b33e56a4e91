#include "tools/qkctl/output/answer.h"

#include <cstdio>

#include "base/standard_streams.h"
#include "tools/qkctl/output/file_output.h"

namespace qkserve {

void AddJsonFlag(Flags& flags, std::string* path) {
  flags.Add("json", path,
            "File for the answer as JSON. --json alone, or -: standard output, which then holds "
            "nothing else",
            {.value_alone = "-", .placeholder = "FILE"});
}

absl::Status ShowAnswer(const std::string& text, const nlohmann::ordered_json& json,
                        const std::string& path) {
  if (path != "-") std::fputs(text.c_str(), stdout);
  absl::Status status = FlushStandardOutput();
  if (path.empty()) return status;
  // Text that is not UTF-8 is replaced and not refused, because the mistake is the server's.
  const std::string dumped =
      json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  // The file is written even if the text could not be shown.
  status.Update(WriteOutput(path, {dumped}));
  return status;
}

}  // namespace qkserve
