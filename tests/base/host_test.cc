#include "base/host.h"

#include <sched.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace qkserve {
namespace {

class CpusTest : public testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  ~CpusTest() override { std::filesystem::remove_all(root_); }

  static int64_t Affinity() {
    cpu_set_t set;
    sched_getaffinity(0, sizeof(set), &set);
    return CPU_COUNT(&set);
  }

  const std::string root_ = testing::TempDir() + "cpus_test_" +
                            testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(CpusTest, WithoutCgroupsItIsTheAffinity) { EXPECT_EQ(UsableCpus(root_), Affinity()); }

TEST_F(CpusTest, TakesTheQuotaOfCgroupVersion2RoundedDown) {
  Write("/proc/self/cgroup", "0::/\n");
  Write("/sys/fs/cgroup/cpu.max", "190000 100000\n");
  EXPECT_EQ(UsableCpus(root_), 1);
  Write("/sys/fs/cgroup/cpu.max", "50000 100000\n");
  EXPECT_EQ(UsableCpus(root_), 1);
  Write("/sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(UsableCpus(root_), Affinity());
}

TEST_F(CpusTest, TakesTheTightestLimitAboveIt) {
  Write("/proc/self/cgroup", "0::/pods/one\n");
  Write("/sys/fs/cgroup/pods/one/cpu.max", "max 100000\n");
  Write("/sys/fs/cgroup/pods/cpu.max", "100000 100000\n");
  EXPECT_EQ(UsableCpus(root_), 1);
}

TEST_F(CpusTest, TakesTheQuotaOfCgroupVersion1) {
  Write("/proc/self/cgroup", "5:memory:/a\n4:cpu,cpuacct:/a\n1:name=systemd:/b\n");
  Write("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "100000\n");
  Write("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(UsableCpus(root_), 1);
  Write("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(UsableCpus(root_), Affinity());
}

TEST_F(CpusTest, IgnoresFilesThatMakeNoSense) {
  Write("/proc/self/cgroup", "0\n::\nx:y\n0::no-slash\n");
  Write("/sys/fs/cgroup/cpu.max", "many few\n");
  EXPECT_EQ(UsableCpus(root_), Affinity());
}

}  // namespace
}  // namespace qkserve
