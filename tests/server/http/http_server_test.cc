// The HTTP port, and what it tells about a server.

#include "server/http/http_server.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "grpcpp/grpcpp.h"
#include "nlohmann/json.hpp"
#include "qkserve/v1/scoring.grpc.pb.h"
#include "qkserve/v1/status.grpc.pb.h"
#include "server/observe/process_log.h"
#include "tests/server/key_set_server_test.h"
#include "tests/support/http_peer.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

using testing::HasSubstr;

class HttpServerTest : public KeySetServerTest {
 protected:
  HttpServerTest() {
    options_.http_address = "127.0.0.1:0";
    options_.log = [this](const LogEvent& event) {
      MutexLock lock(&mutex_);
      events_.push_back(event);
    };
  }
  ~HttpServerTest() override { server_ = nullptr; }  // the server must end before the log's sink

  HttpResponse Get(const std::string& path) const {
    return AskHttp(server_->http_address(), "GET", path);
  }

  // Returns the metrics. A key is the part of a line before the value, with the name and the
  // labels.
  std::map<std::string, double> RequestMetrics() const {
    std::map<std::string, double> values;
    const std::string body = Get("/metrics").body;
    for (const absl::string_view line : absl::StrSplit(body, '\n', absl::SkipEmpty())) {
      if (line[0] == '#') continue;
      const size_t space = line.rfind(' ');
      EXPECT_TRUE(
          absl::SimpleAtod(line.substr(space + 1), &values[std::string(line.substr(0, space))]))
          << line;
    }
    return values;
  }
  double Metric(const std::string& name) const {
    const std::map<std::string, double> metrics = RequestMetrics();
    const auto entry = metrics.find(name);
    EXPECT_NE(entry, metrics.end()) << name;
    return entry != metrics.end() ? entry->second : -1;
  }
  double Refused(const std::string& reason) const {
    return Metric(absl::StrCat("qkserve_refused_requests_total{reason=\"", reason, "\"}"));
  }
  std::vector<LogEvent> Events() {
    MutexLock lock(&mutex_);
    return events_;
  }

  Mutex mutex_;
  std::vector<LogEvent> events_ ABSL_GUARDED_BY(mutex_);
};

// --- Paths --------------------------------------------------------------------------------------

TEST_F(HttpServerTest, AnswersHealthReadinessMetricsAndThePage) {
  Start();
  EXPECT_EQ(Get("/healthz").status, 200);
  EXPECT_EQ(Get("/readyz").status, 200);
  const HttpResponse metrics = Get("/metrics");
  EXPECT_EQ(metrics.status, 200);
  EXPECT_EQ(metrics.headers.at("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  const HttpResponse page = Get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.headers.at("Content-Type"), "text/html; charset=utf-8");
  EXPECT_THAT(page.body, HasSubstr("<title>qkserve</title>"));
  EXPECT_EQ(page.headers.at("Cache-Control"), "no-store");
  EXPECT_EQ(page.headers.at("Referrer-Policy"), "no-referrer");
  EXPECT_EQ(page.headers.at("X-Content-Type-Options"), "nosniff");
  // The page was put together when the program was built.
  EXPECT_FALSE(absl::StrContains(page.body, ".css@"));
  EXPECT_FALSE(absl::StrContains(page.body, ".js@"));
  EXPECT_EQ(Get("/history.json").status, 200);
  EXPECT_EQ(Get("/nosuch").status, 404);
  EXPECT_EQ(Get("//metrics").status, 404);
  EXPECT_EQ(
      AskHttp(server_->http_address(), "POST", "/metrics", "", std::string(100'000, 'x')).status,
      405);
  EXPECT_EQ(AskHttp(server_->http_address(), "HEAD", "/readyz").status, 200);
}

TEST_F(HttpServerTest, ThePageRunsNoScriptButItsOwn) {
  Start();
  const HttpResponse page = Get("/");
  const std::string policy = page.headers.at("Content-Security-Policy");
  std::smatch nonce;
  ASSERT_TRUE(std::regex_search(policy, nonce, std::regex("script-src 'nonce-([0-9a-f]{32})'")))
      << policy;
  EXPECT_THAT(policy, HasSubstr("default-src 'none'"));
  EXPECT_THAT(page.body, HasSubstr(absl::StrCat("<script nonce=\"", nonce[1].str(), "\">")));
  EXPECT_FALSE(absl::StrContains(page.body, "@NONCE@"));
  // Each answer has a new nonce.
  EXPECT_FALSE(absl::StrContains(Get("/").body, nonce[1].str()));
  // The page loads everything from the server.
  EXPECT_FALSE(absl::StrContains(page.body, "http://"));
  EXPECT_FALSE(absl::StrContains(page.body, "https://"));
}

TEST_F(HttpServerTest, DoesNotSpendItsTimeCompressing) {
  Start();
  const HttpResponse metrics =
      AskHttp(server_->http_address(), "GET", "/metrics", "Accept-Encoding: br, gzip\r\n");
  EXPECT_FALSE(metrics.headers.contains("Content-Encoding"));
}

TEST_F(HttpServerTest, IsAliveButNotReadyWhileKeySetsAreLoaded) {
  int calls = 0;
  options_.on_http_listening = [&calls](int port) {
    ++calls;
    const std::string http = absl::StrCat("127.0.0.1:", port);
    EXPECT_EQ(AskHttp(http, "GET", "/healthz").status, 200);
    const HttpResponse ready = AskHttp(http, "GET", "/readyz");
    EXPECT_EQ(ready.status, 503);
    EXPECT_EQ(ready.body, "key sets are being loaded\n");
    const std::string metrics = AskHttp(http, "GET", "/metrics").body;
    EXPECT_THAT(metrics, HasSubstr("\nqkserve_ready 0\n"));
    EXPECT_FALSE(absl::StrContains(metrics, "qkserve_key_sets"));
    return absl::OkStatus();
  };
  Start();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(Get("/readyz").status, 200);
  EXPECT_EQ(Metric("qkserve_ready"), 1);
}

TEST_F(HttpServerTest, IsAliveButNotReadyOnceItDrains) {
  Start();
  ASSERT_TRUE(server_->Drain().ok());
  EXPECT_EQ(Get("/healthz").status, 200);
  const HttpResponse ready = Get("/readyz");
  EXPECT_EQ(ready.status, 503);
  EXPECT_EQ(ready.body, "the server is draining\n");
  EXPECT_EQ(Metric("qkserve_ready"), 0);
}

// Makes a manifest that is not JSON. The server finds this damage at the start.
void MakeDamagedKeySet(const std::string& directory, const std::string& name) {
  std::filesystem::create_directories(absl::StrCat(directory, "/", name));
  std::ofstream(absl::StrCat(directory, "/", name, "/manifest.json")) << "damaged";
}

TEST_F(HttpServerTest, IsNotReadyIfNoneOfItsKeySetsCanBeServed) {
  const TemporaryDirectory directory;
  options_.key_set_dir = directory.Path("sets");
  MakeDamagedKeySet(options_.key_set_dir, "a");
  MakeDamagedKeySet(options_.key_set_dir, "b");
  Start();
  EXPECT_EQ(Get("/healthz").status, 200);
  EXPECT_EQ(Get("/readyz").status, 503);
  EXPECT_EQ(Get("/readyz").body,
            "key sets that cannot be served: 2 of 2; qkctl keys list says why\n");
  EXPECT_EQ(Metric("qkserve_ready"), 0);
  EXPECT_EQ(Metric("qkserve_key_sets_unserved"), 2);
  // One key set that can be served is enough.
  ASSERT_TRUE(client_->PutKeySet("a", RandomTensor(DataType::kFloat32, {2, 3}, 1).View()).ok());
  EXPECT_EQ(Get("/readyz").status, 200);
  EXPECT_EQ(Metric("qkserve_ready"), 1);
  EXPECT_EQ(Metric("qkserve_key_sets_unserved"), 1);
}

TEST_F(HttpServerTest, TheOperatorSaysWhichKeySetsItNeedsToBeReady) {
  const TemporaryDirectory directory;
  options_.key_set_dir = directory.Path("sets");
  options_.ready_key_sets = ReadyKeySets::kAll;
  Start();
  EXPECT_EQ(Get("/readyz").status, 200);  // there are no key sets
  ASSERT_TRUE(client_->PutKeySet("b", RandomTensor(DataType::kFloat32, {2, 3}, 1).View()).ok());
  EXPECT_EQ(Get("/readyz").status, 200);
  server_ = nullptr;
  MakeDamagedKeySet(options_.key_set_dir, "a");
  Start();
  EXPECT_EQ(Get("/readyz").status, 503);
  ASSERT_TRUE(client_->DeleteKeySet("a").ok());
  EXPECT_EQ(Get("/readyz").status, 200);
  server_ = nullptr;
  std::filesystem::remove_all(directory.Path("sets/b"));
  MakeDamagedKeySet(options_.key_set_dir, "a");
  options_.ready_key_sets = ReadyKeySets::kNone;
  Start();
  EXPECT_EQ(Get("/readyz").status, 200);
}

// --- Listening ----------------------------------------------------------------------------------

TEST_F(HttpServerTest, ASecondServerOnThePortFailsAndSaysWhatToDo) {
  Start();
  ServerOptions second = options_;
  second.http_address = server_->http_address();
  EXPECT_THAT(Server::Start(second).status(),
              FailsWith(absl::StatusCode::kUnavailable,
                        absl::StrCat("http_address: ", second.http_address,
                                     " is in use by another process; give another one")));
}

TEST_F(HttpServerTest, AnEmptyAddressIsNoHttp) {
  options_.http_address = "";
  Start();
  EXPECT_EQ(server_->http_address(), "");
}

// --- RequestMetrics ------------------------------------------------------------------------------

TEST_F(HttpServerTest, CountsWhatWasAnswered) {
  Start();
  Put("items", {1000, 8}, 1);
  for (int i = 0; i < 3; ++i) ScoresOf("items", 8);
  const Tensor q = Floats({2, 4}, 1);
  ASSERT_TRUE(client_->Score(q.View(), q.View()).ok());
  const std::map<std::string, double> metrics = RequestMetrics();
  EXPECT_EQ(metrics.at(R"(qkserve_requests_total{method="Score",code="OK"})"), 4);
  EXPECT_EQ(metrics.at(R"(qkserve_requests_total{method="PutKeySet",code="OK"})"), 1);
  EXPECT_EQ(metrics.at(R"(qkserve_request_duration_seconds_count{method="Score"})"), 4);
  EXPECT_EQ(metrics.at(R"(qkserve_request_duration_seconds_bucket{method="Score",le="+Inf"})"), 4);
  EXPECT_GT(metrics.at(R"(qkserve_request_duration_seconds_sum{method="Score"})"), 0);
  EXPECT_EQ(metrics.at("qkserve_request_queue_seconds_count"), 4);
  EXPECT_EQ(metrics.at("qkserve_request_compute_seconds_count"), 4);
  EXPECT_EQ(metrics.at("qkserve_batch_requests_count"), 4);
  EXPECT_EQ(metrics.at("qkserve_batch_requests_sum"), 4);
  EXPECT_EQ(metrics.at("qkserve_batch_rows_sum"), 5);
  EXPECT_GT(metrics.at("qkserve_received_bytes_total"), 1000 * 8 * 4);
  EXPECT_GT(metrics.at("qkserve_sent_bytes_total"), 3 * 1000 * 4);
  EXPECT_EQ(metrics.at("qkserve_key_sets"), 1);
  EXPECT_EQ(metrics.at("qkserve_key_sets_with_problems"), 0);
  EXPECT_EQ(metrics.at(R"(qkserve_key_set_requests_total{key_set="items"})"), 3);
  EXPECT_GT(metrics.at(R"(qkserve_key_set_memory_bytes{key_set="items"})"), 1000 * 8 * 4);
  EXPECT_EQ(metrics.at(R"(qkserve_key_set_version{key_set="items"})"),
            static_cast<double>(client_->GetKeySet("items")->version));
  EXPECT_EQ(metrics.at("qkserve_workers"), 2);
  EXPECT_EQ(metrics.at("qkserve_queue_requests"), 0);
  EXPECT_GT(metrics.at("process_resident_memory_bytes"), 0);
}

TEST_F(HttpServerTest, CountsRefusalsByTheirReason) {
  options_.in_flight_bytes_max = kMiB;
  options_.key_set_memory = kMiB;
  Start();
  const Tensor q = Floats({2, 4}, 1);
  const Tensor other = Floats({2, 5}, 1);
  EXPECT_FALSE(client_->Score(q.View(), other.View()).ok());
  EXPECT_EQ(Refused("invalid"), 1);
  EXPECT_FALSE(client_->Score(q.View(), KeySetReference{"nosuch"}).ok());
  EXPECT_EQ(Refused("not_found"), 1);
  const Tensor many = Floats({600, 1}, 1);
  EXPECT_FALSE(client_->Score(many.View(), many.View()).ok());
  EXPECT_EQ(Refused("in_flight_bytes"), 1);
  EXPECT_FALSE(client_->PutKeySet("big", Floats({10'000, 64}, 1).View()).ok());
  EXPECT_EQ(Refused("key_set_memory"), 1);
  EXPECT_EQ(Metric(R"(qkserve_requests_total{method="Score",code="INVALID_ARGUMENT"})"), 1);
  EXPECT_EQ(Refused("queue_time"), 0);
}

TEST_F(HttpServerTest, CountsCallsOfUnknownMethods) {
  Start();
  std::string response;
  for (int i = 0; i < 2; ++i) {
    const grpc::Status status =
        RawCall(ChannelTo(server_->address()), "/qkserve.v1.ScoringService/Nope", "x", &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
    EXPECT_EQ(status.error_message(),
              "method: got '/qkserve.v1.ScoringService/Nope', which this server does not have");
  }
  EXPECT_EQ(Metric(R"(qkserve_requests_total{method="unknown",code="UNIMPLEMENTED"})"), 2);
  EXPECT_EQ(Refused("invalid"), 2);
}

TEST_F(HttpServerTest, OnlyTheFirstHundredKeySetsHaveMetricsOfTheirOwn) {
  Start();
  for (int i = 0; i < MetricsExporter::kKeySetsShownMax + 3; ++i)
    Put(absl::StrCat("set", 100 + i), {1, 1}, 1);
  const std::map<std::string, double> metrics = RequestMetrics();
  EXPECT_EQ(metrics.at("qkserve_key_sets"), 103);
  EXPECT_EQ(metrics.at("qkserve_key_sets_left_out"), 3);
  EXPECT_EQ(metrics.count(R"(qkserve_key_set_version{key_set="set199"})"), 1);
  EXPECT_EQ(metrics.count(R"(qkserve_key_set_version{key_set="set200"})"), 0);
}

TEST_F(HttpServerTest, DocumentationNamesExactlyWhatIsExported) {
  Start();
  Put("items", {1, 1}, 1);
  std::set<std::string> exported;
  const std::string text = Get("/metrics").body;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, "# TYPE ")) continue;
    exported.insert(std::string(line.substr(0, line.find(' '))) + " " +
                    std::string(line.substr(line.find(' ') + 1)));
  }
  std::ifstream file(METRICS_DOCUMENT);
  const std::string document((std::istreambuf_iterator<char>(file)), {});
  std::set<std::string> documented;
  const std::regex row("\\| `([a-z_]+)` \\| (counter|gauge|histogram) \\|");
  for (std::sregex_iterator match(document.begin(), document.end(), row), end; match != end;
       ++match) {
    documented.insert(absl::StrCat((*match)[1].str(), " ", (*match)[2].str()));
  }
  EXPECT_EQ(documented, exported);
}

// --- The log ------------------------------------------------------------------------------------

TEST_F(HttpServerTest, ATraceIsEchoedAndNamedInTheLineOfASlowRequest) {
  options_.slow_request_threshold = absl::Nanoseconds(1);
  Start();
  const auto stub = v1::ScoringService::NewStub(ChannelTo(server_->address()));
  const auto call = [&stub](const std::vector<std::string>& traceparents) {
    grpc::ClientContext context;
    for (const std::string& traceparent : traceparents) {
      context.AddMetadata("traceparent", traceparent);
    }
    context.AddMetadata("x-request-id", "r-1");
    v1::ScoreResponse response;
    EXPECT_FALSE(stub->Score(&context, v1::ScoreRequest(), &response).ok());
    std::map<std::string, std::string> echoed;
    for (const auto& [key, value] : context.GetServerInitialMetadata()) {
      echoed[std::string(key.data(), key.size())] = std::string(value.data(), value.size());
    }
    return echoed;
  };
  const std::string valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  std::map<std::string, std::string> echoed = call({valid});
  EXPECT_EQ(echoed["traceparent"], valid);
  EXPECT_EQ(echoed["x-request-id"], "r-1");
  // The W3C requires that a server ignores an invalid value, and a header with several values.
  const std::string other = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
  for (const std::vector<std::string>& ignored :
       {std::vector<std::string>{"00-0-0-0"}, {valid, valid}, {valid, other}, {valid, "x"}}) {
    echoed = call(ignored);
    EXPECT_EQ(echoed.count("traceparent"), 0);
    EXPECT_EQ(echoed["x-request-id"], "r-1");
  }

  std::vector<std::string> traces;
  for (const LogEvent& event : Events()) {
    if (event.message != "slow request") continue;
    std::string trace = "none";
    for (const auto& [name, value] : event.fields) {
      if (std::string(name) == "trace_id") trace = std::get<std::string>(value);
    }
    traces.push_back(trace);
  }
  EXPECT_THAT(traces, testing::ElementsAre("0af7651916cd43dd8448eb211c80319c", "none", "none",
                                           "none", "none"));
}

TEST_F(HttpServerTest, ARequestIdIsEchoedByEveryServiceOfTheApi) {
  Start();
  const auto expect_echo = [](const auto& call) {
    grpc::ClientContext context;
    context.AddMetadata("x-request-id", "r-1");
    EXPECT_TRUE(call(context).ok());
    const auto& echoed = context.GetServerInitialMetadata();
    const auto found = echoed.find("x-request-id");
    EXPECT_TRUE(found != echoed.end() && found->second == "r-1");
  };
  expect_echo([this](grpc::ClientContext& context) {
    v1::GetStatusResponse response;
    return v1::StatusService::NewStub(ChannelTo(server_->address()))
        ->GetStatus(&context, v1::GetStatusRequest(), &response);
  });
  expect_echo([this](grpc::ClientContext& context) {
    v1::ListKeySetsResponse response;
    return KeySets()->ListKeySets(&context, v1::ListKeySetsRequest(), &response);
  });
}

TEST_F(HttpServerTest, ALineForEachChangeOfAKeySetSaysWhoseItWas) {
  Start();
  const size_t before = Events().size();
  const int64_t put = Put("items", {100, 8}, 1).version;
  const Tensor more = Floats({30, 8}, 2);
  const int64_t appended = client_->AppendKeySet("items", put, more.View())->version;
  EXPECT_FALSE(client_->AppendKeySet("items", put, more.View()).ok());  // changes nothing
  EXPECT_TRUE(client_->GetKeySet("items").ok());
  const int64_t bytes = client_->GetKeySet("items")->memory_bytes;
  grpc::ClientContext context;
  context.AddMetadata("x-request-id", "r-1");
  v1::DeleteKeySetRequest request;
  request.set_name("items");
  v1::DeleteKeySetResponse response;
  EXPECT_TRUE(KeySets()->DeleteKeySet(&context, request, &response).ok());

  std::vector<nlohmann::json> lines;
  for (const LogEvent& event : Events()) {
    lines.push_back(nlohmann::json::parse(FormatLogLine(LogFormat::kJson, absl::Now(), event)));
  }
  lines.erase(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(before));
  ASSERT_EQ(lines.size(), 3U);
  for (nlohmann::json& line : lines) {
    EXPECT_EQ(line["level"], "info");
    EXPECT_EQ(line["key_set"], "items");
    EXPECT_THAT(line["peer"].get<std::string>(), testing::StartsWith("ipv4:127.0.0.1:"));
  }
  EXPECT_EQ(lines[0]["message"], "key set put");
  EXPECT_EQ(lines[0]["version"], put);
  EXPECT_EQ(lines[0]["keys"], 100);
  EXPECT_EQ(lines[1]["message"], "key set appended to");
  EXPECT_EQ(lines[1]["version"], appended);
  EXPECT_EQ(lines[1]["keys"], 130);
  EXPECT_EQ(lines[1]["new_keys"], 30);
  EXPECT_EQ(lines[1]["bytes"], bytes);
  EXPECT_EQ(lines[2]["message"], "key set deleted");
  EXPECT_EQ(lines[2]["version"], appended);
  EXPECT_EQ(lines[2]["request_id"], "r-1");
}

TEST_F(HttpServerTest, NoLineForARequestThatIsNotSlow) {
  options_.slow_request_threshold = absl::Hours(1);
  Start();
  const size_t events = Events().size();
  const Tensor q = Floats({2, 4}, 1);
  ASSERT_TRUE(client_->Score(q.View(), q.View()).ok());
  EXPECT_EQ(Events().size(), events);
}

}  // namespace
}  // namespace qkserve
