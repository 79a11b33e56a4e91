// /history.json, which the page for human readers loads.

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "nlohmann/json.hpp"
#include "server/http/http_server.h"
#include "server/observe/live_view.h"
#include "server/observe/metrics_exporter.h"
#include "tests/server/key_set_server_test.h"
#include "tests/support/fake_clock.h"
#include "tests/support/http_peer.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// --- The document -------------------------------------------------------------------------------

class LiveViewTest : public testing::Test {
 protected:
  json Document(int64_t after = 0) const { return json::parse(view_.Document(after)); }
  void TakeSample() {
    clock_.Advance(LoadHistory::kInterval);
    view_.TakeSample();
  }
  void Count(absl::StatusCode code, absl::Duration duration) {
    exporter_.metrics().CountCall(Method::kScore, code, duration);
  }

  FakeClock clock_;
  MetricsExporter exporter_{ComputeSetup{.kernel = "K", .key_set_kernel = "P", .workers = 3}};
  LiveView view_{&exporter_, &clock_};
};

TEST_F(LiveViewTest, BeforeTheFirstSampleAndWhileKeySetsAreLoaded) {
  json document = Document();
  EXPECT_EQ(document["samples"]["first"], 1);
  EXPECT_EQ(document["samples"]["time"], json::array());
  EXPECT_EQ(document["key_sets"], nullptr);
  EXPECT_EQ(document["is_ready"], false);
  EXPECT_EQ(document["state"], "key sets are being loaded");
  EXPECT_EQ(document["kernel"], "K");
  EXPECT_EQ(document["workers"], 3);
  TakeSample();
  document = Document();
  EXPECT_EQ(document["samples"]["queue_requests"], json::array({nullptr}));
  EXPECT_GT(document["samples"]["resident_bytes"][0], 1 << 20);
}

TEST_F(LiveViewTest, SamplesAreColumnsOfWhatEachSecondAdded) {
  Count(absl::StatusCode::kOk, absl::Microseconds(7));
  Count(absl::StatusCode::kOk, absl::Milliseconds(1));
  Count(absl::StatusCode::kOk, absl::Milliseconds(1));
  Count(absl::StatusCode::kNotFound, absl::Microseconds(1));
  exporter_.metrics().CountCall(Method::kPutKeySet, absl::StatusCode::kNotFound, absl::Seconds(1));
  exporter_.metrics().CountBatch(3, 12);
  TakeSample();
  Count(absl::StatusCode::kOk, absl::Minutes(1));
  TakeSample();
  const json document = Document();
  const json& samples = document["samples"];
  EXPECT_EQ(samples["answered"], json::array({3, 1}));
  EXPECT_EQ(samples["errors"], json::parse(R"([{"NOT_FOUND": 2}, {}])"));
  // Pairs of bucket and count. The bucket after the last bound has no bound.
  EXPECT_EQ(samples["latency"], json::parse("[[0, 1, 6, 2], [20, 1]]"));
  EXPECT_EQ(document["latency_bounds_ns"][6], 1'000'000);
  EXPECT_EQ(document["latency_bounds_ns"].size(), 20U);
  EXPECT_EQ(samples["batches"], json::array({1, 0}));
  EXPECT_EQ(samples["batch_requests"], json::array({3, 0}));
  EXPECT_EQ(samples["batch_rows"], json::array({12, 0}));
  EXPECT_EQ(samples["seconds"], json::array({1.0, 1.0}));
  EXPECT_EQ(document["answered"], 4);
  EXPECT_EQ(document["errors"], json::parse(R"({"NOT_FOUND": 2})"));
}

TEST_F(LiveViewTest, TimesAreOfTheWallClock) {
  TakeSample();
  clock_.Advance(absl::Seconds(5));
  const json document = Document();
  const double now = document["now"];
  EXPECT_NEAR(now, absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()), 60);
  EXPECT_NEAR(now - document["samples"]["time"][0].get<double>(), 5, 0.01);
  EXPECT_LE(document["started"], now);
}

TEST_F(LiveViewTest, LeavesOutWhatTheReaderHas) {
  for (int i = 0; i < 5; ++i) TakeSample();
  EXPECT_EQ(Document(3)["samples"]["first"], 4);
  EXPECT_EQ(Document(3)["samples"]["time"].size(), 2U);
  EXPECT_EQ(Document(5)["samples"]["first"], 6);
  EXPECT_EQ(Document(5)["samples"]["time"].size(), 0U);
  // A reader of an earlier server may have a number that this server has not reached.
  EXPECT_EQ(Document(99)["samples"]["first"], 1);
}

// --- Over HTTP ----------------------------------------------------------------------------------

class HistoryTest : public KeySetServerTest {
 protected:
  HistoryTest() { options_.http_address = "127.0.0.1:0"; }
  HttpResponse Get(const std::string& query = "") const {
    return AskHttp(server_->http_address(), "GET", "/history.json" + query);
  }
  json Document(const std::string& query = "") const { return json::parse(Get(query).body); }
};

TEST_F(HistoryTest, IsKeptWhetherAPageIsOpenOrNot) {
  Start();
  const Tensor q = Floats({2, 4}, 1);
  ASSERT_TRUE(client_->Score(q.View(), q.View()).ok());
  ASSERT_TRUE(client_->Score(q.View(), q.View()).ok());
  json document;
  ASSERT_TRUE(Eventually([&] {
    document = Document();
    int64_t answered = 0;
    for (const int64_t count : document["samples"]["answered"]) answered += count;
    return answered == 2;
  }));
  const json& samples = document["samples"];
  EXPECT_EQ(document["answered"], 2);
  EXPECT_EQ(samples["queue_requests"].back(), 0);
  EXPECT_EQ(samples["time"].size(), samples["in_flight_bytes"].size());
  EXPECT_EQ(document["is_ready"], true);
  EXPECT_GT(document["in_flight_bytes_max"], 0);
}

TEST_F(HistoryTest, DescribesKeySets) {
  Start();
  Put("items", {2, 10, 8}, 1);
  Put("memory", {5, 4}, 1, 3);
  const json key_sets = Document()["key_sets"];
  EXPECT_EQ(key_sets["count"], 2);
  EXPECT_EQ(key_sets["with_problems"], 0);
  EXPECT_GT(key_sets["bytes"], 0);
  EXPECT_GE(key_sets["bytes_max"], key_sets["bytes"]);
  const json& items = key_sets["shown"][0];
  EXPECT_EQ(items["name"], "items");
  EXPECT_EQ(items["version"], client_->GetKeySet("items")->version);
  EXPECT_EQ(items["keys"], json::parse(R"({"data_type": "FLOAT32", "shape": [2, 10, 8]})"));
  EXPECT_EQ(items["values"], nullptr);
  EXPECT_EQ(items["memory_bytes"], client_->GetKeySet("items")->memory_bytes);
  EXPECT_EQ(items["requests_served"], 0);
  EXPECT_EQ(items["problem"], nullptr);
  EXPECT_EQ(key_sets["shown"][1]["values"]["shape"], json::array({5, 3}));
}

TEST_F(HistoryTest, SaysWhyAKeySetIsNotServed) {
  const TemporaryDirectory directory;
  options_.key_set_dir = directory.path();
  Start();
  Put("items", {10, 8}, 1);
  server_ = nullptr;
  for (const auto& file : std::filesystem::directory_iterator(directory.Path("items"))) {
    std::filesystem::resize_file(file, file.file_size() / 2);
  }
  Start();
  const json key_sets = Document()["key_sets"];
  EXPECT_EQ(key_sets["with_problems"], 1);
  const json& items = key_sets["shown"][0];
  EXPECT_EQ(items["name"], "items");
  EXPECT_EQ(items["version"], nullptr);
  EXPECT_EQ(items["keys"], nullptr);
  EXPECT_THAT(items["problem"].get<std::string>(), HasSubstr("DATA_LOSS"));
  server_ = nullptr;  // the server must end before its directory
}

TEST_F(HistoryTest, NamesHowManyKeySetsThereAreBesideTheFirstHundred) {
  Start();
  for (int i = 0; i < MetricsExporter::kKeySetsShownMax + 3; ++i) {
    Put(absl::StrCat("set", 100 + i), {1, 1}, 1);
  }
  const json key_sets = Document()["key_sets"];
  EXPECT_EQ(key_sets["count"], 103);
  EXPECT_EQ(key_sets["shown"].size(), 100U);
}

TEST_F(HistoryTest, ReadsTheQuery) {
  Start();
  ASSERT_TRUE(Eventually([this] { return Document()["samples"]["time"].size() >= 2; }));
  EXPECT_EQ(Document("?after=1")["samples"]["first"], 2);
  EXPECT_EQ(Document("?page=2&after=1")["samples"]["first"], 2);
  EXPECT_EQ(Document("?after=")["samples"]["first"], 1);
  const HttpResponse response = Get();
  EXPECT_EQ(response.headers.at("Content-Type"), "application/json");
  EXPECT_EQ(response.headers.at("Cache-Control"), "no-store");
  for (const char* wrong : {"?after=x", "?after=-1", "?after=9223372036854775808"}) {
    EXPECT_EQ(Get(wrong).status, 400) << wrong;
  }
  EXPECT_THAT(Get("?after=x").body, HasSubstr("after: expected"));
}

TEST_F(HistoryTest, ARestartedServerBeginsAnew) {
  Start();
  ASSERT_TRUE(Eventually([this] { return Document()["samples"]["time"].size() >= 2; }));
  const json before = Document();
  Start();
  // The reader asks with a number from the server before.
  const json after = Document("?after=1000000");
  EXPECT_GT(after["started"], before["started"]);
  EXPECT_EQ(after["samples"]["first"], 1);
  EXPECT_EQ(after["answered"], 0);
}

}  // namespace
}  // namespace qkserve
