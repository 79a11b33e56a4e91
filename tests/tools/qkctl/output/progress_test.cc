#include "tools/qkctl/output/progress.h"

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

TEST(LoadProgressTextTest, HasNoLatenciesBeforeTheFirstAnswer) {
  LoadCounts counts;
  EXPECT_EQ(LoadProgressText(counts, {}, absl::Seconds(1), absl::Seconds(9)),
            "0.0 requests/s, no answers, 0 errors, 9 s left");
  counts.ok = 2;
  counts.response.Record(absl::Milliseconds(1));
  counts.response.Record(absl::Milliseconds(1));
  counts.errors_by_code[absl::StatusCode::kUnavailable].count = 1;
  EXPECT_EQ(LoadProgressText(counts, {}, absl::Seconds(1), absl::Seconds(8)),
            "2.0 requests/s, p50 1.000 ms, p99 1.000 ms, 1 error, 8 s left");
  // No answer came in this second.
  EXPECT_EQ(LoadProgressText(counts, counts, absl::Seconds(1), absl::Seconds(7)),
            "0.0 requests/s, no answers, 1 error, 7 s left");
}

}  // namespace
}  // namespace qkserve
