// Lines of the log: their form, and which requests get one.

#include "server/observe/process_log.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/key_sets/key_set_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "qkserve/limits.h"
#include "server/observe/call_recorder.h"
#include "tests/support/fake_clock.h"
#include "tests/support/key_set_uploads.h"

namespace qkserve {
namespace {

using testing::HasSubstr;

const absl::Time kTime = absl::UnixEpoch() + absl::Microseconds(1'500'000);

TEST(LogFormatTest, TextIsTimeLevelMessageAndFields) {
  EXPECT_EQ(FormatLogLine(LogFormat::kText, kTime,
                          {LogLevel::kWarning,
                           "slow request",
                           {{"rows", 3.0}, {"key_set", "items"}, {"why", "two words"}}}),
            "1970-01-01T00:00:01.500000Z warning slow request rows=3 key_set=items "
            "why=\"two words\"");
}

TEST(LogFormatTest, CountsHaveAllTheirDigits) {
  const LogEvent event = {LogLevel::kInfo,
                          "m",
                          {{"bytes", int64_t{1234567890123}},
                           {"max", std::numeric_limits<int64_t>::max()},
                           {"min", std::numeric_limits<int64_t>::min()}}};
  for (const auto& [format, fields] :
       {std::pair(LogFormat::kText,
                  "m bytes=1234567890123 max=9223372036854775807 min=-9223372036854775808"),
        std::pair(LogFormat::kJson,
                  "\"bytes\":1234567890123,\"max\":9223372036854775807,"
                  "\"min\":-9223372036854775808}")}) {
    EXPECT_THAT(FormatLogLine(format, kTime, event), testing::EndsWith(fields));
  }
}

TEST(LogFormatTest, NothingInAnEventBeginsAnotherLine) {
  const LogEvent event = {LogLevel::kError, "a\nb", {{"name", "c\r\nd\x1b[31m"}, {"empty", ""}}};
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    const std::string line = FormatLogLine(format, kTime, event);
    EXPECT_EQ(line.find_first_of("\n\r\x1b"), std::string::npos) << line;
  }
}

TEST(LogFormatTest, JsonIsValidWhateverAnEventHolds) {
  std::string all_bytes;
  for (int byte = 0; byte < 256; ++byte) all_bytes += static_cast<char>(byte);
  const nlohmann::json line = nlohmann::json::parse(FormatLogLine(
      LogFormat::kJson, kTime,
      {LogLevel::kInfo,
       all_bytes,
       {{"key_set", "\"}\\"}, {"ms", 1.5}, {"infinite", -1.0 / 0.0}, {"text", all_bytes}}}));
  EXPECT_EQ(line["time"], "1970-01-01T00:00:01.500000Z");
  EXPECT_EQ(line["level"], "info");
  EXPECT_EQ(line["key_set"], "\"}\\");
  EXPECT_EQ(line["ms"], 1.5);
  EXPECT_TRUE(line["infinite"].is_null());
}

class SlowRequestLogTest : public testing::Test {
 protected:
  SlowRequestLog Make(absl::Duration threshold) {
    return SlowRequestLog(
        threshold, [this](const LogEvent& event) { events_.push_back(event); }, &clock_);
  }
  std::string Line(size_t i) const { return FormatLogLine(LogFormat::kText, kTime, events_[i]); }

  FakeClock clock_;
  std::vector<LogEvent> events_;
};

TEST_F(SlowRequestLogTest, AThresholdOfZeroIsOff) {
  EXPECT_FALSE(Make(absl::ZeroDuration()).IsSlow(absl::Hours(1)));
  const SlowRequestLog log = Make(absl::Seconds(1));
  EXPECT_TRUE(log.IsSlow(absl::Seconds(1)));
  EXPECT_FALSE(log.IsSlow(absl::Milliseconds(999)));
}

TEST_F(SlowRequestLogTest, ALineSaysWhereTheTimeWentAndWhoseRequestItWas) {
  const std::unique_ptr<KeySetStore> store =
      KeySetStore::Open({.memory_bytes_max = kMiB}, nullptr).value();
  const std::shared_ptr<const KeySet> items =
      UploadPart(*store, "items", {.leading = {}, .d = 1}, {1, 1}).value();
  Make(absl::Seconds(1))
      .Log(absl::OkStatus(), absl::Seconds(2),
           {.job = {.queued = absl::Milliseconds(1500), .computed = absl::Milliseconds(499)},
            .rows = 12345678,
            .key_set = items.get()},
           "ipv4:127.0.0.1:5",
           {.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            .request_id = "r-1"});
  ASSERT_EQ(events_.size(), 1);
  EXPECT_THAT(Line(0),
              testing::AllOf(HasSubstr("code=OK duration_ms=2000 queued_ms=1500 computed_ms=499"),
                             HasSubstr("rows=12345678"), HasSubstr("key_set=items request_id=r-1"),
                             HasSubstr("trace_id=0af7651916cd43dd8448eb211c80319c")));
}

TEST_F(SlowRequestLogTest, ManySlowRequestsGetFewLinesAndTheRestIsCounted) {
  SlowRequestLog log = Make(absl::Seconds(1));
  const auto log_one = [&log] { log.Log(absl::OkStatus(), absl::Seconds(1), {}, "", {}); };
  for (int i = 0; i < SlowRequestLog::kLinesMax + 5; ++i) log_one();
  EXPECT_EQ(events_.size(), SlowRequestLog::kLinesMax);
  clock_.Advance(SlowRequestLog::kPeriod);
  log_one();
  ASSERT_EQ(events_.size(), SlowRequestLog::kLinesMax + 1);
  EXPECT_THAT(Line(SlowRequestLog::kLinesMax), HasSubstr(" left_out=5"));
}

}  // namespace
}  // namespace qkserve
