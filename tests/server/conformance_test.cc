// Runs the conformance cases through a client and a real server. The cases define in float64 what
// the service must compute.

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "qkserve/client.h"
#include "server/server.h"
#include "tests/support/process.h"
#include "tests/support/read_npy.h"
#include "tests/support/reference.h"

namespace qkserve {
namespace {

// The elements of a float64 .npy file of format version 1.
std::vector<double> ReadFloat64Npy(const std::filesystem::path& path) {
  const std::string bytes = ReadFile(path);
  constexpr size_t kPreamble = 10;
  EXPECT_GT(bytes.size(), kPreamble) << path;
  const size_t header = static_cast<unsigned char>(bytes[8]) +
                        256 * static_cast<size_t>(static_cast<unsigned char>(bytes[9]));
  EXPECT_TRUE(absl::StrContains(bytes.substr(kPreamble, header), "'<f8'")) << path;
  std::vector<double> values((bytes.size() - kPreamble - header) / sizeof(double));
  if (!values.empty()) {
    std::memcpy(values.data(), bytes.data() + kPreamble + header, values.size() * sizeof(double));
  }
  return values;
}

std::vector<std::string> CaseNames() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(CONFORMANCE_FOLDER)) {
    if (std::filesystem::exists(entry.path() / "expect_scores.npy")) {
      names.push_back(entry.path().filename());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

class ConformanceTest : public testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() {
    server_ = Server::Start({.listen_address = "127.0.0.1:0"}).value().release();
  }
  static void TearDownTestSuite() { delete server_; }

  static Server* server_;
};
Server* ConformanceTest::server_ = nullptr;

INSTANTIATE_TEST_SUITE_P(Cases, ConformanceTest, testing::ValuesIn(CaseNames()),
                         [](const auto& info) { return "_" + info.param; });

TEST_P(ConformanceTest, ScoresAreWithinTheBound) {
  const std::filesystem::path folder = std::filesystem::path(CONFORMANCE_FOLDER) / GetParam();
  const Tensor q = ReadNpy(folder / "q.npy").value();
  const Tensor k = ReadNpy(folder / "k.npy").value();
  const nlohmann::json options = nlohmann::json::parse(ReadFile(folder / "case.json"));
  const double scale = options.value("scale", 1.0);

  const auto client = Client::Create({.address = server_->address()}).value();
  const absl::StatusOr<ScoreResult> result =
      client->Score(q.View(), k.View(), {.scale = static_cast<float>(scale)});
  ASSERT_TRUE(result.ok()) << result.status();

  ReferenceScores expected = ComputeReference(q.View(), k.View(), scale);
  const std::vector<double> scores = ReadFloat64Npy(folder / "expect_scores.npy");
  ASSERT_EQ(scores.size(), expected.scores.size());
  expected.scores = scores;
  EXPECT_EQ(CompareToReference(result->result.View(), expected, q.shape.back()), "");
}

}  // namespace
}  // namespace qkserve
