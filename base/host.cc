#include "base/host.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace qkserve {
namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

// Returns the words of the file, or none if there is no such file.
std::vector<std::string> ReadWords(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return absl::StrSplit(text.str(), absl::ByAnyChar(" \n"), absl::SkipEmpty());
}

// Returns how many whole CPUs `quota_us` allows in each `period_us`, at least 1. The quotas "max"
// and -1 mean no limit.
int64_t CpusOfQuota(absl::string_view quota_us, absl::string_view period_us) {
  int64_t quota = 0;
  int64_t period = 0;
  if (!absl::SimpleAtoi(quota_us, &quota) || !absl::SimpleAtoi(period_us, &period)) return kNoLimit;
  if (quota <= 0 || period <= 0) return kNoLimit;
  return std::max<int64_t>(1, quota / period);
}

int64_t CpuLimitIn(const std::string& folder) {
  const std::vector<std::string> v2 = ReadWords(absl::StrCat(folder, "/cpu.max"));
  if (v2.size() >= 2) return CpusOfQuota(v2[0], v2[1]);
  const std::vector<std::string> quota = ReadWords(absl::StrCat(folder, "/cpu.cfs_quota_us"));
  const std::vector<std::string> period = ReadWords(absl::StrCat(folder, "/cpu.cfs_period_us"));
  return quota.empty() || period.empty() ? kNoLimit : CpusOfQuota(quota[0], period[0]);
}

int64_t MemoryLimitIn(const std::string& folder) {
  for (const char* file : {"/memory.max", "/memory.limit_in_bytes"}) {
    const std::vector<std::string> words = ReadWords(absl::StrCat(folder, file));
    int64_t bytes = 0;
    if (!words.empty() && absl::SimpleAtoi(words[0], &bytes) && bytes > 0) return bytes;
  }
  return kNoLimit;
}

// Returns the lowest limit among the process's cgroup and the cgroups above it. `limit_in` reads
// the limit of one folder. The top folder of the mount is always read. Inside a container, it has
// the files of the container's cgroup, whatever path /proc/self/cgroup gives.
int64_t CgroupLimit(const std::string& root, absl::string_view controller,
                    int64_t (*limit_in)(const std::string& folder)) {
  int64_t limit = kNoLimit;
  for (const std::string& line : ReadWords(absl::StrCat(root, "/proc/self/cgroup"))) {
    // A line is "0::/a/b" in version 2, "4:cpu,cpuacct:/a/b" in version 1.
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    const std::vector<absl::string_view> controllers = absl::StrSplit(fields[1], ',');
    const bool has_it =
        std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
    if (!fields[1].empty() && !has_it) continue;
    const std::string mount =
        absl::StrCat(root, "/sys/fs/cgroup", has_it ? absl::StrCat("/", controller) : "");
    std::string path = fields[2] == "/" ? "" : fields[2];
    while (true) {
      limit = std::min(limit, limit_in(absl::StrCat(mount, path)));
      if (path.empty()) break;
      path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
    }
  }
  return limit;
}

}  // namespace

int64_t UsableCpus(const std::string& root) {
  cpu_set_t affinity;
  CPU_ZERO(&affinity);
  const int64_t allowed =
      sched_getaffinity(0, sizeof(affinity), &affinity) == 0 ? CPU_COUNT(&affinity) : 1;
  return std::max<int64_t>(1, std::min(allowed, CgroupLimit(root, "cpu", CpuLimitIn)));
}

std::string CpuName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (absl::StartsWith(line, "model name") && colon != std::string::npos) {
      return std::string(absl::StripAsciiWhitespace(absl::string_view(line).substr(colon + 1)));
    }
  }
  return "";
}

int64_t UsableMemoryBytes(const std::string& root) {
  const int64_t pages = sysconf(_SC_PHYS_PAGES);
  const int64_t page_bytes = sysconf(_SC_PAGESIZE);
  return std::min(pages * page_bytes, CgroupLimit(root, "memory", MemoryLimitIn));
}

int64_t OpenFilesMax() {
  rlimit files = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
  getrlimit(RLIMIT_NOFILE, &files);
  return static_cast<int64_t>(
      std::min<rlim_t>(files.rlim_cur, std::numeric_limits<int64_t>::max()));
}

}  // namespace qkserve
