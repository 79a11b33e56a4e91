// The lines of the log: their form, and which requests get one.

#include "server/observe/process_log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
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

// Readers of logfmt take \' for an error.
TEST(LogFormatTest, SingleQuotesAreNotEscaped) {
  EXPECT_THAT(FormatLogLine(LogFormat::kText, kTime,
                            {LogLevel::kInfo, "m", {{"error", R"(no set 'a' or "b" or c\'d')"}}}),
              testing::EndsWith(R"( error="no set 'a' or \"b\" or c\\'d'")"));
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
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson, LogFormat::kJournald}) {
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

TEST(LogFormatTest, TheJournalGetsAPriorityAndNoTime) {
  for (const auto& [level, line] : {std::pair(LogLevel::kInfo, "<6>a\\nb n=1"),
                                    {LogLevel::kWarning, "<4>a\\nb n=1"},
                                    {LogLevel::kError, "<3>a\\nb n=1"}}) {
    EXPECT_EQ(FormatLogLine(LogFormat::kJournald, kTime, {level, "a\nb", {{"n", int64_t{1}}}}),
              line);
  }
}

TEST(LogFormatTest, TheJournalIsRecognizedByItsSocketAlone) {
  struct stat stream = {};
  ASSERT_EQ(fstat(STDERR_FILENO, &stream), 0);
  setenv("JOURNAL_STREAM", absl::StrCat(stream.st_dev, ":", stream.st_ino).c_str(), 1);
  EXPECT_EQ(DefaultLogFormat(), LogFormat::kJournald);
  for (const std::string& other :
       {absl::StrCat(stream.st_dev, ":", stream.st_ino + 1),
        absl::StrCat(stream.st_dev + 1, ":", stream.st_ino), std::string("1"), std::string()}) {
    setenv("JOURNAL_STREAM", other.c_str(), 1);
    EXPECT_EQ(DefaultLogFormat(), LogFormat::kText) << other;
  }
  unsetenv("JOURNAL_STREAM");
  EXPECT_EQ(DefaultLogFormat(), LogFormat::kText);
}

class CallLogTest : public testing::Test {
 protected:
  CallLog Make(absl::Duration slow_threshold, bool logs_failures = false) {
    return CallLog(
        slow_threshold, logs_failures, [this](const LogEvent& event) { events_.push_back(event); },
        &clock_);
  }
  std::string Line(size_t i) const { return FormatLogLine(LogFormat::kText, kTime, events_[i]); }

  FakeClock clock_;
  std::vector<LogEvent> events_;
};

TEST_F(CallLogTest, AThresholdOfZeroIsOff) {
  const absl::Status ok;
  EXPECT_FALSE(Make(absl::ZeroDuration()).IsLogged(Method::kScore, ok, absl::Hours(1)));
  const CallLog log = Make(absl::Seconds(1));
  EXPECT_TRUE(log.IsLogged(Method::kScore, ok, absl::Seconds(1)));
  EXPECT_FALSE(log.IsLogged(Method::kScore, ok, absl::Milliseconds(999)));
  EXPECT_FALSE(log.IsLogged(Method::kPutKeySet, ok, absl::Hours(1)));
}

TEST_F(CallLogTest, FailuresAreLoggedOnRequest) {
  const absl::Status error = absl::NotFoundError("no key set has the name 'x'");
  EXPECT_FALSE(Make(absl::Seconds(1)).IsLogged(Method::kScore, error, absl::ZeroDuration()));
  CallLog log = Make(absl::ZeroDuration(), true);
  EXPECT_TRUE(log.IsLogged(Method::kScore, error, absl::ZeroDuration()));
  EXPECT_TRUE(log.IsLogged(Method::kDeleteKeySet, error, absl::ZeroDuration()));
  EXPECT_FALSE(log.IsLogged(Method::kScore, absl::OkStatus(), absl::Hours(1)));
  log.Log({.method = Method::kDeleteKeySet, .status = error, .duration = absl::Milliseconds(2)},
          "ipv4:127.0.0.1:5", {.request_id = "r-1"});
  log.Log({.status = absl::InternalError("disk")}, "", {});
  log.Log({.status = absl::UnavailableError("the server is draining")}, "", {});
  ASSERT_EQ(events_.size(), 3);
  EXPECT_THAT(Line(0), HasSubstr("info failed request method=DeleteKeySet code=NOT_FOUND "
                                 "duration_ms=2 peer=ipv4:127.0.0.1:5 "
                                 "error=\"no key set has the name 'x'\" request_id=r-1"));
  EXPECT_THAT(Line(1), HasSubstr("error failed request method=Score code=INTERNAL"));
  EXPECT_THAT(Line(2), HasSubstr("warning failed request method=Score code=UNAVAILABLE"));
}

TEST_F(CallLogTest, ALineSaysWhereTheTimeWentAndWhoseRequestItWas) {
  const std::unique_ptr<KeySetStore> store =
      KeySetStore::Open({.memory_bytes_max = kMiB}, nullptr).value();
  const std::shared_ptr<const KeySet> items =
      UploadPart(*store, "items", {.leading = {}, .d = 1}, {1, 1}).value();
  Make(absl::Seconds(1))
      .Log({.status = absl::OkStatus(),
            .duration = absl::Seconds(2),
            .receipt = {.job = {.queued = absl::Milliseconds(1500),
                                .computed = absl::Milliseconds(499)},
                        .rows = 12345678,
                        .key_set = items.get()}},
           "ipv4:127.0.0.1:5",
           {.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            .request_id = "r-1"});
  ASSERT_EQ(events_.size(), 1);
  EXPECT_THAT(Line(0),
              testing::AllOf(HasSubstr("code=OK duration_ms=2000 queued_ms=1500 computed_ms=499"),
                             HasSubstr("rows=12345678"), HasSubstr("key_set=items request_id=r-1"),
                             HasSubstr("trace_id=0af7651916cd43dd8448eb211c80319c")));
}

// Lines of failures do not use up those of slow requests.
TEST_F(CallLogTest, ManyCallsGetFewLinesAndTheRestIsCounted) {
  CallLog log = Make(absl::Seconds(1), true);
  const auto log_slow = [&log] { log.Log({.duration = absl::Seconds(1)}, "", {}); };
  const auto log_failed = [&log] { log.Log({.status = absl::NotFoundError("")}, "", {}); };
  for (int i = 0; i < LineLimit::kLinesMax + 5; ++i) log_failed();
  EXPECT_EQ(events_.size(), LineLimit::kLinesMax);
  for (int i = 0; i < LineLimit::kLinesMax + 3; ++i) log_slow();
  EXPECT_EQ(events_.size(), 2 * LineLimit::kLinesMax);
  clock_.Advance(LineLimit::kPeriod);
  log_failed();
  log_slow();
  ASSERT_EQ(events_.size(), 2 * LineLimit::kLinesMax + 2);
  EXPECT_THAT(Line(2 * LineLimit::kLinesMax), HasSubstr(" left_out=5"));
  EXPECT_THAT(Line(2 * LineLimit::kLinesMax + 1), HasSubstr(" left_out=3"));
}

}  // namespace
}  // namespace qkserve
