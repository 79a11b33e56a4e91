#include "bench/result_page.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

namespace qkserve::bench {
namespace {

Json RatioOf(double ratio) {
  return {{"ratio", ratio}, {"lower_quartile", ratio - 0.1}, {"upper_quartile", ratio + 0.1}};
}

Json Contender(const std::string& name, double rate, const char* ratio) {
  return {{"name", name},
          {"requests_per_s_median", rate},
          {"latency_us_p50", 1e6 / rate},
          {"latency_us_p99", 2e6 / rate},
          {ratio, RatioOf(1.5)},
          {"rate_to_echo", RatioOf(0.5)}};
}

Json Resident() {
  const Json contenders = {Contender("echo", 5000, "rate_to_baseline"),
                           Contender("qkserve", 1000, "rate_to_baseline"),
                           Contender("baseline", 400, "rate_to_baseline")};
  return {{"targets",
           {{{"workload", "resident-top"},
             {"what", "rate / baseline"},
             {"at_least", 2},
             {"value", RatioOf(2.5)},
             {"met", true}},
            {{"workload", "resident-top"},
             {"what", "latency / echo"},
             {"at_most", 1},
             {"value", RatioOf(1.4)},
             {"met", false}}}},
          {"workloads",
           {{{"name", "resident-top"},
             {"n", 1},
             {"m", 10000},
             {"d", 768},
             {"comparisons", {{{"callers", 1}, {"contenders", contenders}}}}}}}};
}

Json Inline() {
  return {{"targets", Json::array()},
          {"workloads",
           {{{"name", "tiny"},
             {"n", 1},
             {"m", 16},
             {"d", 64},
             {"concurrency", 64},
             {"one_caller", {{{"name", "qkserve"}, {"latency_us_median", 175.4}}}},
             {"many_callers",
              {Contender("qkserve", 49573, "rate_to_stock"),
               Contender("stock, 1 thread", 48000, "rate_to_stock")}}}}}};
}

Json Peers() {
  return {{"top_k", 10},
          {"m", 10000},
          {"d", 768},
          {"results",
           {{{"contender", "qkserve, over gRPC"},
             {"at_a_time", 1},
             {"queries_per_s", {850.0}},
             {"qkserve_ratio", 1.0}},
            {{"contender", "NumPy"},
             {"at_a_time", 1},
             {"queries_per_s", {1074.0}},
             {"qkserve_ratio", 0.79}}}}};
}

Json Kernels() {
  Json benchmarks = Json::array();
  for (const char* name : {"sgemv", "sgemm", "matrix FLOAT32"}) {
    benchmarks.push_back({{"run_type", "iteration"},
                          {"run_name", absl::StrCat("m=10000 d=768 n=1 ", name)},
                          {"real_time", name[0] == 'm' ? 1.0 : 3.0}});
  }
  return {{"benchmarks", benchmarks}};
}

std::string BodyOf(const std::string& page) { return page.substr(page.find("<body>")); }

// Returns the colours of all bars whose name begins with `name`.
std::vector<std::string> ColorsOf(const std::string& page, const std::string& name) {
  std::vector<std::string> colors;
  const std::vector<std::string> parts = absl::StrSplit(page, absl::StrCat("<div><span>", name));
  for (size_t i = 1; i < parts.size(); ++i) {
    colors.push_back(parts[i].substr(parts[i].find("<i class=\"") + 10, 2));
  }
  return colors;
}

TEST(ResultPageTest, AContenderHasOneColor) {
  const std::string page = ResultPage({Resident(), Inline(), Peers()}, "today");
  EXPECT_EQ(ColorsOf(page, "qkserve"), (std::vector<std::string>{"b0", "b0", "b0", "b0"}));
  EXPECT_EQ(ColorsOf(page, "baseline"), (std::vector<std::string>{"b1"}));
  EXPECT_EQ(ColorsOf(page, "stock"), (std::vector<std::string>{"b1"}));
  EXPECT_EQ(ColorsOf(page, "echo"), (std::vector<std::string>{"b5"}));
  EXPECT_EQ(ColorsOf(page, "NumPy"), (std::vector<std::string>{"b3"}));
}

TEST(ResultPageTest, BarsHaveTheirValues) {
  const std::string page = ResultPage({Resident(), Inline(), Peers()}, "today");
  for (const char* value : {">5000/s<", ">400/s<", ">175 µs<", ">49.57k/s<", ">1074/s<"}) {
    EXPECT_TRUE(absl::StrContains(page, absl::StrCat("</i", value))) << value;
  }
}

TEST(ResultPageTest, TargetsSayWhetherTheyAreMet) {
  const std::string page = ResultPage({Resident()}, "today");
  EXPECT_TRUE(absl::StrContains(page, "<h2>Targets: 1 of 2 met</h2>"));
  EXPECT_TRUE(absl::StrContains(page, "✓ met"));
  EXPECT_TRUE(absl::StrContains(page, "✗ missed"));
}

TEST(ResultPageTest, KernelsStandBesideOpenBlas) {
  const std::string body = BodyOf(ResultPage({Kernels()}, "today"));
  EXPECT_TRUE(absl::StrContains(body, "as fast as OpenBLAS"));
  // Only one of the two shapes was measured.
  EXPECT_EQ(std::vector<std::string>(absl::StrSplit(body, "<svg ")).size(), 2u);
}

TEST(ResultPageTest, WhatWasNotMeasuredLeavesNoEmptyChapterAndNoNan) {
  Json resident = Resident();
  resident["targets"] = Json::array();
  Json& contender = resident["workloads"][0]["comparisons"][0]["contenders"][0];
  contender["rate_to_echo"]["ratio"] = nullptr;  // as JSON writes NaN
  contender["latency_us_p99"] = nullptr;
  Json peers = Peers();
  peers["results"] = Json::array();
  const Json kernels = {{"benchmarks", Json::array()}};
  const std::string body = BodyOf(ResultPage({resident, peers, kernels}, "today"));
  EXPECT_FALSE(absl::StrContains(body, "nan")) << body;
  EXPECT_FALSE(absl::StrContains(body, "Targets"));
  EXPECT_FALSE(absl::StrContains(body, "Kernels"));
  EXPECT_FALSE(absl::StrContains(body, "NumPy"));
  EXPECT_TRUE(absl::StrContains(body, "<h2>resident-top: n=1 m=10000 d=768</h2>"));
}

}  // namespace
}  // namespace qkserve::bench
