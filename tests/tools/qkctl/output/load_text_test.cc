#include "tools/qkctl/output/load_text.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "tools/report/text_table.h"

namespace qkserve {
namespace {

// Returns a load of 10 s. Each of its `answers` requests took `time`, in batches of 4.
LoadResult Load(int concurrency, int64_t answers, absl::Duration time) {
  LoadResult load;
  load.options.concurrency = concurrency;
  load.elapsed = absl::Seconds(10);
  load.completed = load.completed_good = answers;
  load.counts.sent = load.counts.ok = load.counts.good = answers;
  load.counts.batches = static_cast<double>(answers) / 4;
  for (int i = 0; i < 10; ++i) load.counts.response.Record(time);
  load.counts.service = load.counts.response;
  return load;
}

LoadReport Report(std::vector<LoadResult> loads) {
  LoadReport report;
  report.workload = *FindStandardWorkload("resident-top");
  report.key_set = "items";
  report.is_series = loads.size() > 1;
  report.steps = std::move(loads);
  return report;
}

void ExpectFits(const std::string& text) {
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(text, '\n'))) {
    EXPECT_LE(line.size(), kTextColumns) << text;
  }
}

TEST(LoadTextTest, ASeriesIsATable) {
  EXPECT_EQ(LoadReportText(Report({Load(1, 100, absl::Milliseconds(1)),
                                   Load(16, 20'000, absl::Microseconds(123'456))})),
            "resident-top: n=1 m=10000 d=768, key set items, top_k 10; over 1 connection\n"
            "\n"
            "                              ms      ms      ms      ms          requests\n"
            "load          requests/s     p50     p99   p99.9     max  errors   a batch\n"
            "1 at a time         10.0    1.00    1.00    1.00    1.00       0      4.00\n"
            "16 at a time      2000.0  123.46  123.46  123.46  123.46       0      4.00\n"
            "latencies are of the 20100 requests answered OK\n");
}

TEST(LoadTextTest, RetriesAndRequestsThatExpiredHereAreShown) {
  LoadResult load = Load(4, 100, absl::Milliseconds(1));
  EXPECT_FALSE(absl::StrContains(LoadReportText(Report({load})), "retries"));
  load.options.attempts = 4;
  load.counts.retries = 12;
  load.counts.recovered = 9;
  load.counts.over_budget = 1;
  load.counts.errors_by_code[absl::StatusCode::kDeadlineExceeded] = {3, "late", {}};
  load.counts.unanswered = 2;
  const std::string text = LoadReportText(Report({load}));
  EXPECT_TRUE(absl::StrContains(text,
                                "errors                             3\n"
                                "  DEADLINE_EXCEEDED                3\n"
                                "    expired here                   2\n"
                                "retries                           12\n"
                                "  recovered                        9\n"
                                "  over budget                      1\n"))
      << text;
}

TEST(LoadTextTest, LargeFiguresAndLongNamesFit) {
  std::vector<LoadResult> loads;
  for (const int callers : {1, 10'000}) {
    loads.push_back(Load(callers, 12'345'678'901, absl::Seconds(59.999)));
    loads.back().interrupted = true;
    loads.back().counts.errors_by_code[absl::StatusCode::kResourceExhausted] = {
        1'234'567, "full", absl::ZeroDuration()};
  }
  LoadReport report = Report(loads);
  report.key_set = std::string(128, 'k');
  report.verify.emplace();
  report.verify->result.rows = report.verify->result.duplicates = 1'234'567'890;
  ExpectFits(LoadReportText(report));

  // The report is now about a search.
  for (LoadResult& load : report.steps) {
    load.options.concurrency = 0;
    load.options.rate_from = load.options.rate_to = load.options.rate_from + 1'234'567;
    load.counts.unsent = 1'234'567;
  }
  report.peak = PeakResult{{99.99, absl::Milliseconds(50)}, 1'234'567, 2'345'678, PeakEnd::kFound};
  const std::string text = LoadReportText(report);
  ExpectFits(text);
  EXPECT_TRUE(absl::StrContains(text, "poisson arrivals")) << text;

  report.is_series = false;
  report.peak.reset();
  report.workload.key_sets = 1000;
  ExpectFits(LoadReportText(report));
}

TEST(LoadTextTest, OneIsSingular) {
  const std::string text = LoadReportText(Report({Load(1, 1, absl::Milliseconds(1))}));
  EXPECT_TRUE(absl::StrContains(text, "of the 1 request answered OK")) << text;
  EXPECT_FALSE(absl::StrContains(text, " 1 requests")) << text;
}

TEST(LoadTextTest, WithoutAnswersThereAreNoFiguresOfThem) {
  LoadResult none;
  none.options.concurrency = 4;
  const std::string text = LoadReportText(Report({none, none}));
  EXPECT_FALSE(absl::StrContains(text, "0.000")) << text;
  EXPECT_FALSE(absl::StrContains(text, "nan")) << text;
}

}  // namespace
}  // namespace qkserve
