#include "server/observe/process_stats.h"

#include <sys/resource.h>
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

namespace qkserve {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// When the machine started, in seconds: the value behind "btime " in /proc/stat.
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

}  // namespace

ProcessStats ProcessStats::Read(const std::string& root) {
  ProcessStats stats;
  const std::string line = ReadAll(root + "/proc/self/stat");
  const size_t command_end = line.rfind(") ");
  if (command_end != std::string::npos) {
    const std::vector<absl::string_view> fields =
        absl::StrSplit(absl::string_view(line).substr(command_end + 2), ' ');
    // Fields are numbered as in proc(5). Field 2, the command, may hold anything.
    const auto number = [&fields](size_t field) {
      int64_t value = 0;
      return field - 3 < fields.size() && absl::SimpleAtoi(fields[field - 3], &value) ? value : 0;
    };
    const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
    stats.cpu_seconds = static_cast<double>(number(14) + number(15)) / ticks;
    stats.start_time_seconds = BootTime(root) + static_cast<double>(number(22)) / ticks;
    stats.threads = number(20);
    stats.virtual_bytes = number(23);
    stats.resident_bytes = number(24) * sysconf(_SC_PAGESIZE);
  }
  stats.open_files = CountOpenFiles(root);
  rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    stats.open_files_max = static_cast<int64_t>(files.rlim_cur);
  }
  return stats;
}

}  // namespace qkserve
