#include "server/observe/process_stats.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

TEST(ProcessStatsTest, ReadsThisProcess) {
  const ProcessStats stats = ProcessStats::Read();
  EXPECT_GT(stats.resident_bytes, 1 << 20);
  EXPECT_GT(stats.virtual_bytes, stats.resident_bytes);
  EXPECT_GE(stats.threads, 1);
  EXPECT_GE(stats.open_files, 3);
  EXPECT_GE(stats.open_files_max, stats.open_files);
  EXPECT_GT(stats.start_time_seconds, 1e9);
}

TEST(ProcessStatsTest, FindsItsFieldsBehindACommandOfAnyName) {
  const TemporaryDirectory root("process_stats_test");
  std::filesystem::create_directories(root.Path("proc/self/fd"));
  const auto ticks = sysconf(_SC_CLK_TCK);
  std::ofstream(root.Path("proc/self/stat"))
      << absl::StrCat("7 (a) S 1 (b) R 1 2 3 4 5 6 7 8 9 10 ", 2 * ticks, " ", 3 * ticks,
                      " 0 0 20 0 42 0 ", 100 * ticks, " 8192 2 18446744073709551615 1 1\n");
  std::ofstream(root.Path("proc/stat")) << "cpu  1 2 3\nbtime 1000\nprocesses 5\n";
  const ProcessStats stats = ProcessStats::Read(root.Path("."));
  EXPECT_EQ(stats.cpu_seconds, 5);
  EXPECT_EQ(stats.threads, 42);
  EXPECT_EQ(stats.start_time_seconds, 1100);
  EXPECT_EQ(stats.virtual_bytes, 8192);
  EXPECT_EQ(stats.resident_bytes, 2 * sysconf(_SC_PAGESIZE));
}

TEST(ProcessStatsTest, TheUsageIsAPartOfIt) {
  const ProcessStats usage = ProcessStats::ReadUsage();
  EXPECT_GT(usage.resident_bytes, 1 << 20);
  EXPECT_GE(usage.threads, 1);
  EXPECT_LE(usage.cpu_seconds, ProcessStats::Read().cpu_seconds);
}

TEST(ProcessStatsTest, SaysZeroWhereNothingIsKnown) {
  const TemporaryDirectory root("process_stats_test");
  const ProcessStats stats = ProcessStats::Read(root.Path("."));
  EXPECT_EQ(stats.resident_bytes, 0);
  EXPECT_EQ(stats.start_time_seconds, 0);
  EXPECT_EQ(stats.open_files, 0);
}

}  // namespace
}  // namespace qkserve
