#include "tools/qkctl/output/upload_progress.h"

#include "gtest/gtest.h"
#include "qkserve/limits.h"

namespace qkserve {
namespace {

TEST(UploadProgressTextTest, TellsBytesRateAndWhatIsLeft) {
  EXPECT_EQ(UploadProgressText(0, 4 * kGiB, absl::ZeroDuration()),
            "[....................]   0%  0 B of 4.0 GiB");
  EXPECT_EQ(UploadProgressText(kGiB, 4 * kGiB, absl::Seconds(2)),
            "[#####...............]  25%  1.0 GiB of 4.0 GiB  512.0 MiB/s  7s left");
  EXPECT_EQ(UploadProgressText(1, 4 * kGiB, absl::Seconds(1)),
            "[....................]   0%  1 B of 4.0 GiB  1 B/s  1193046h28m16s left");
  EXPECT_EQ(UploadProgressText(4 * kGiB, 4 * kGiB, absl::Seconds(4)),
            "[####################] 100%  4.0 GiB of 4.0 GiB  1.0 GiB/s  waiting for the server");
}

}  // namespace
}  // namespace qkserve
