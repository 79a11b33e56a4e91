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

namespace qkserve {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The value behind "btime " in /proc/stat: when the machine started, in seconds.
double BootTime(const std::string& root) {
  for (const absl::string_view line : absl::StrSplit(ReadAll(root + "/proc/stat"), '\n')) {
    double seconds = 0;
    if (line.substr(0, 6) == "btime " && absl::SimpleAtod(line.substr(6), &seconds)) {
      return seconds;
    }
  }
  return 0;
}

int64_t CountOpenFiles(const std::string& root) {
  std::error_code error;
  int64_t count = 0;
  for (std::filesystem::directory_iterator file(root + "/proc/self/fd", error), end;
       !error && file != end; file.increment(error)) {
    ++count;
  }
  // One of them is the directory itself.
  return count > 0 ? count - 1 : 0;
}

}  // namespace

ProcessStats ProcessStats::Read(const std::string& root) {
  // Counted from the one behind the command in parentheses, which may hold anything: proc(5)
  // numbers that one 3.
  constexpr size_t kFirst = 3;
  constexpr size_t kUserTime = 14 - kFirst;
  constexpr size_t kSystemTime = 15 - kFirst;
  constexpr size_t kThreads = 20 - kFirst;
  constexpr size_t kStartTime = 22 - kFirst;
  constexpr size_t kVirtualSize = 23 - kFirst;
  constexpr size_t kResidentPages = 24 - kFirst;

  ProcessStats stats;
  const std::string line = ReadAll(root + "/proc/self/stat");
  const size_t command_end = line.rfind(") ");
  if (command_end != std::string::npos) {
    const std::vector<absl::string_view> fields =
        absl::StrSplit(absl::string_view(line).substr(command_end + 2), ' ');
    const auto number = [&fields](size_t at) {
      int64_t value = 0;
      return at < fields.size() && absl::SimpleAtoi(fields[at], &value) ? value : 0;
    };
    const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
    stats.cpu_seconds = static_cast<double>(number(kUserTime) + number(kSystemTime)) / ticks;
    stats.start_time_seconds = BootTime(root) + static_cast<double>(number(kStartTime)) / ticks;
    stats.threads = number(kThreads);
    stats.virtual_bytes = number(kVirtualSize);
    stats.resident_bytes = number(kResidentPages) * sysconf(_SC_PAGESIZE);
  }
  stats.open_files = CountOpenFiles(root);
  rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    stats.open_files_max = static_cast<int64_t>(files.rlim_cur);
  }
  return stats;
}

}  // namespace qkserve
