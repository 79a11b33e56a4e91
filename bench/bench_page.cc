// bench_page: draws results of this directory's programs on one page. It reads the JSON that they
// write.

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "base/flags.h"
#include "bench/result_page.h"

namespace qkserve::bench {
namespace {

// Returns the time at which a measurement ended: its program then wrote the file.
absl::Time WrittenAt(const std::string& path) {
  struct stat status = {};
  return stat(path.c_str(), &status) == 0 ? absl::TimeFromTimespec(status.st_mtim)
                                          : absl::UnixEpoch();
}

int Main(int argc, char** argv) {
  std::string out, commit;
  std::vector<std::string> files;
  Flags flags("Draws results: bench_page --out=PAGE.html RESULT.json ...\n");
  flags.Add("out", &out, "File for the page; required");
  flags.Add("commit", &commit, "Name of the version that was measured", {.may_be_empty = true});
  flags.AddArguments("RESULT.json", &files);
  const std::optional<int> exit_code = flags.ParseMain(argc, argv, [&out] {
    return out.empty() ? absl::InvalidArgumentError("--out is required") : absl::OkStatus();
  });
  if (exit_code.has_value()) return *exit_code;
  std::vector<Json> results;
  absl::Time measured = absl::UnixEpoch();
  for (const std::string& path : files) {
    std::ifstream file(path);
    Json result = Json::parse(file, nullptr, /*allow_exceptions=*/false);
    if (!result.is_object()) {
      absl::FPrintF(stderr, "error: %s: cannot be read as a result\n", path);
      return 1;
    }
    results.push_back(std::move(result));
    measured = std::max(measured, WrittenAt(path));
  }
  const std::string time = absl::FormatTime("%Y-%m-%d %H:%M UTC", measured, absl::UTCTimeZone());
  try {
    std::ofstream file(out);
    file << ResultPage(results, absl::StrCat(time, commit.empty() ? "" : ", commit ", commit));
    file.close();
    if (file) return 0;
    absl::FPrintF(stderr, "error: cannot write %s\n", out);
  } catch (const Json::exception& error) {
    absl::FPrintF(stderr, "error: not results of this program's version: %s\n", error.what());
  }
  return 1;
}

}  // namespace
}  // namespace qkserve::bench

int main(int argc, char** argv) {
  try {
    return qkserve::bench::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fputs(error.what(), stderr);
    return 1;
  }
}
