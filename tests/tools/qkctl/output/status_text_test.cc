#include "tools/qkctl/output/status_text.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

TEST(StatusTextTest, RequestsABatchAreTheMeanOverBatches) {
  v1::GetStatusResponse status;
  EXPECT_TRUE(absl::StrContains(StatusText(status), "\nrequests a batch    -\n"));
  EXPECT_TRUE(StatusJson(status).at("batch_requests_mean").is_null());
  status.set_requests_answered(10);
  status.set_batches(4);
  EXPECT_TRUE(absl::StrContains(StatusText(status), "\nrequests a batch    2.50\n"));
  EXPECT_EQ(StatusJson(status).at("batch_requests_mean"), 2.5);
}

TEST(StatusTextTest, FitsATerminal) {
  v1::GetStatusResponse status;
  status.set_version("100.200.300");
  status.set_kernel("SapphireRapids");
  status.set_key_set_kernel("AVX3_SPR");
  status.set_gflops_per_worker(123456.7);
  status.set_workers(1024);
  status.set_uptime_ns(INT64_MAX);
  status.set_queued_cost_ns(INT64_MAX);
  for (const auto set :
       {&v1::GetStatusResponse::set_in_flight_bytes,
        &v1::GetStatusResponse::set_in_flight_bytes_max, &v1::GetStatusResponse::set_key_set_bytes,
        &v1::GetStatusResponse::set_key_set_bytes_max}) {
    (status.*set)(int64_t{1} << 44);
  }
  status.set_in_flight_requests(1);
  const std::string text = StatusText(status);
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(text, '\n'))) {
    EXPECT_LE(line.size(), 80u) << line;
  }
  EXPECT_TRUE(absl::StrContains(text, "\nin flight           1 request, 16.0 TiB of 16.0 TiB\n"))
      << text;
}

}  // namespace
}  // namespace qkserve
