#include "server/observe/process_stats.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/host.h"

namespace qkserve {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Returns when the machine started, in seconds since the epoch: the value after "btime " in
// /proc/stat.
double BootTime(const std::string& root) {
  double seconds = 0;
  for (absl::string_view line : absl::StrSplit(ReadAll(root + "/proc/stat"), '\n')) {
    if (absl::ConsumePrefix(&line, "btime ") && absl::SimpleAtod(line, &seconds)) break;
  }
  return seconds;
}

int64_t CountOpenFiles(const std::string& root) {
  std::error_code error;
  int64_t count = 0;
  for (std::filesystem::directory_iterator file(root + "/proc/self/fd", error), end;
       !error && file != end; file.increment(error)) {
    ++count;
  }
  // One entry is the descriptor of the directory itself.
  return count > 0 ? count - 1 : 0;
}

// The numbers in /proc/self/stat.
class StatLine {
 public:
  explicit StatLine(const std::string& root) : line_(ReadAll(root + "/proc/self/stat")) {
    const size_t command_end = line_.rfind(") ");
    if (command_end == std::string::npos) return;
    fields_ = absl::StrSplit(absl::string_view(line_).substr(command_end + 2), ' ');
  }
  StatLine(const StatLine&) = delete;
  StatLine& operator=(const StatLine&) = delete;

  // Returns 0 if there is no such field. Fields are numbered as in proc(5). Counting begins after
  // field 2, the command, because a command may have any characters.
  int64_t Number(size_t field) const {
    int64_t value = 0;
    const size_t index = field - 3;
    return index < fields_.size() && absl::SimpleAtoi(fields_[index], &value) ? value : 0;
  }
  double Seconds(size_t field) const {
    return static_cast<double>(Number(field)) / static_cast<double>(sysconf(_SC_CLK_TCK));
  }

 private:
  const std::string line_;
  std::vector<absl::string_view> fields_;  // from field 3 on
};

ProcessStats UsageOf(const StatLine& line) {
  ProcessStats stats;
  stats.cpu_seconds = line.Seconds(14) + line.Seconds(15);
  stats.threads = line.Number(20);
  stats.virtual_bytes = line.Number(23);
  stats.resident_bytes = line.Number(24) * sysconf(_SC_PAGESIZE);
  return stats;
}

}  // namespace

ProcessStats ProcessStats::ReadUsage(const std::string& root) { return UsageOf(StatLine(root)); }

ProcessStats ProcessStats::Read(const std::string& root) {
  const StatLine line(root);
  ProcessStats stats = UsageOf(line);
  if (const double since_boot = line.Seconds(22); since_boot > 0) {
    stats.start_time_seconds = BootTime(root) + since_boot;
  }
  stats.open_files = CountOpenFiles(root);
  stats.open_files_max = OpenFilesMax();
  return stats;
}

}  // namespace qkserve
