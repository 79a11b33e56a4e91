// Runs every stage of the conformance cases through the programs: qkctl with a qkserve. The cases
// define the results in float64.

#include <signal.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "tests/support/process.h"
#include "tests/tools/qkctl/conformance_case.h"

namespace qkserve {
namespace {

// Weights and context of a row are not compared if its scores may be off by this much.
constexpr double kRowBoundMax = 0.1;

// The relative rounding error of exp, of sums and of quotients.
constexpr double kSoftmaxError = 2e-6;

std::vector<std::string> CaseFolders() {
  std::vector<std::string> folders;
  for (const auto& entry : std::filesystem::directory_iterator(CONFORMANCE_FOLDER)) {
    folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

bool IsMinusInfinity(double value) { return std::isinf(value) && value < 0; }

// True if the values are close. NaN and infinities must match, and other values may differ by
// `bound`.
bool IsClose(double got, double expected, double bound) {
  if (std::isnan(expected)) return std::isnan(got);
  if (std::isinf(expected)) return got == expected;
  return std::fabs(got - expected) <= bound;
}

// The server that all tests of this program share.
class RunningServer {
 public:
  RunningServer()
      : process_({QKSERVE_PROGRAM, "--listen_address=127.0.0.1:0",
                  "--http_address=", absl::StrCat("--port_file=", directory_.Path("port"))},
                 directory_.Path("server_out"), directory_.Path("server_err")) {
    EXPECT_TRUE(Eventually(
        [this] { return process_.Ended() || std::filesystem::exists(directory_.Path("port")); }));
    std::ifstream port_file(directory_.Path("port"));
    EXPECT_TRUE(port_file >> port_) << ReadFile(directory_.Path("server_err"));
  }
  ~RunningServer() {
    process_.Signal(SIGTERM);
    EXPECT_EQ(process_.Wait(), 0) << ReadFile(directory_.Path("server_err"));
  }

  std::string Flag() const { return absl::StrCat("--server=127.0.0.1:", port_); }

 private:
  const TemporaryDirectory directory_{"qkctl_conformance_server"};
  Process process_;
  int port_ = 0;
};

class QkctlConformanceTest : public testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() { server_ = std::make_unique<RunningServer>(); }
  static void TearDownTestSuite() { server_.reset(); }

  std::string Path(absl::string_view name) const { return directory_.Path(name); }

  // Runs qkctl score on the case and returns what it writes to `out.npy`.
  Array Score(std::vector<std::string> more) const {
    std::vector<std::string> command = {QKCTL_PROGRAM, "score", server_->Flag(),
                                        absl::StrCat("--out=", Path("out.npy"))};
    command.insert(command.end(), case_.flags().begin(), case_.flags().end());
    command.insert(command.end(), more.begin(), more.end());
    const Outcome outcome = RunCommand(std::move(command), directory_);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.exit_code == 0 ? ReadArray(Path("out.npy")) : Array();
  }

  void ExpectScores(const std::string& stage) const;
  void ExpectWeightsOrContext(const std::string& stage, const Array& got,
                              const std::vector<double>& magnitudes) const;
  void ExpectLogSumExp() const;
  void ExpectBest(int64_t row, const double* got_keys, const double* got_scores, const double* keys,
                  const double* scores) const;

  static constexpr int64_t kBest = 3;

  static std::unique_ptr<RunningServer> server_;
  const TemporaryDirectory directory_{"qkctl_conformance"};
  const ConformanceCase case_{GetParam()};
};
std::unique_ptr<RunningServer> QkctlConformanceTest::server_;

INSTANTIATE_TEST_SUITE_P(Cases, QkctlConformanceTest, testing::ValuesIn(CaseFolders()),
                         [](const auto& info) {
                           const std::filesystem::path folder(info.param);
                           return absl::StrCat("_", folder.filename().string());
                         });

void QkctlConformanceTest::ExpectScores(const std::string& stage) const {
  SCOPED_TRACE(stage);
  if (!case_.Expects(stage)) return;
  const Array expected = case_.Expected(stage);
  const Array got = Score({absl::StrCat("--output=", stage)});
  ASSERT_EQ(got.shape, expected.shape);
  for (size_t i = 0; i < got.values.size(); ++i) {
    const double bound = case_.ScoreBoundAt(static_cast<int64_t>(i), expected.values[i]);
    ASSERT_TRUE(IsClose(got.values[i], expected.values[i], bound))
        << "element " << i << ": got " << got.values[i] << ", expected " << expected.values[i]
        << " within " << bound;
  }
}

// Compares weights or context. The bound of an element is proportional to its magnitude.
void QkctlConformanceTest::ExpectWeightsOrContext(const std::string& stage, const Array& got,
                                                  const std::vector<double>& magnitudes) const {
  const Array expected = case_.Expected(stage);
  ASSERT_EQ(got.shape, expected.shape);
  ASSERT_EQ(got.values.size(), magnitudes.size());
  const int64_t columns = expected.shape.back();
  for (size_t i = 0; i < got.values.size(); ++i) {
    const int64_t row = static_cast<int64_t>(i) / columns;
    const double row_bound = case_.RowBound(row);
    if (case_.IsDead(row)) {
      ASSERT_EQ(got.values[i], 0) << "row " << row << " attends no key";
      continue;
    }
    if (row_bound >= kRowBoundMax) continue;
    const double bound = (kSoftmaxError + 3 * row_bound) * magnitudes[i];
    ASSERT_TRUE(IsClose(got.values[i], expected.values[i], bound))
        << "element " << i << ": got " << got.values[i] << ", expected " << expected.values[i]
        << " within " << bound;
  }
}

void QkctlConformanceTest::ExpectLogSumExp() const {
  const Array expected = case_.Expected("log_sum_exp");
  const Array got = ReadArray(Path("lse.npy"));
  ASSERT_EQ(got.shape, expected.shape);
  for (size_t row = 0; row < got.values.size(); ++row) {
    const double bound = case_.RowBound(static_cast<int64_t>(row)) +
                         kSoftmaxError * std::max(1.0, std::fabs(expected.values[row]));
    ASSERT_TRUE(IsClose(got.values[row], expected.values[row], bound))
        << "row " << row << ": got " << got.values[row] << ", expected " << expected.values[row]
        << " within " << bound;
  }
}

TEST_P(QkctlConformanceTest, ScoresAreWithinTheirBound) {
  ExpectScores("scores");
  ExpectScores("capped");
  ExpectScores("masked");
}

TEST_P(QkctlConformanceTest, WeightsAreWithinTheirBound) {
  if (!case_.Expects("weights")) return;  // too large to be kept
  const Array got =
      Score({"--output=weights", absl::StrCat("--log_sum_exp_out=", Path("lse.npy"))});
  ExpectWeightsOrContext("weights", got, std::vector<double>(case_.masked().values.size(), 1.0));
  ExpectLogSumExp();
}

TEST_P(QkctlConformanceTest, ContextIsWithinItsBound) {
  if (!case_.Expects("context")) return;  // a case without values
  const Array got = Score({"--output=context", case_.ValuesFlag(),
                           absl::StrCat("--log_sum_exp_out=", Path("lse.npy"))});
  ExpectWeightsOrContext("context", got, case_.ContextMagnitudes());
  ExpectLogSumExp();
}

// Compares the best keys of a row. Another key is allowed if its score is within the bound of the
// expected key's score.
void QkctlConformanceTest::ExpectBest(int64_t row, const double* got_keys, const double* got_scores,
                                      const double* keys, const double* scores) const {
  SCOPED_TRACE(absl::StrCat("row ", row));
  std::set<double> seen;
  for (int64_t rank = 0; rank < kBest; ++rank) {
    if (keys[rank] < 0) {
      ASSERT_EQ(got_keys[rank], -1) << rank;
      ASSERT_TRUE(IsMinusInfinity(got_scores[rank])) << rank;
      continue;
    }
    ASSERT_GE(got_keys[rank], 0) << rank;
    ASSERT_LT(got_keys[rank], static_cast<double>(case_.keys())) << rank;
    ASSERT_TRUE(seen.insert(got_keys[rank]).second) << "a key twice: " << got_keys[rank];
    const int64_t element = row * case_.keys() + static_cast<int64_t>(got_keys[rank]);
    const double exact = case_.masked().values[element];
    const double bound = case_.ScoreBoundAt(element, exact);
    ASSERT_TRUE(IsClose(got_scores[rank], exact, bound)) << rank;
    ASSERT_TRUE(IsClose(got_scores[rank], scores[rank], case_.RowBound(row))) << rank;
    if (got_keys[rank] != keys[rank]) {
      const int64_t other = row * case_.keys() + static_cast<int64_t>(keys[rank]);
      ASSERT_LE(std::fabs(exact - case_.masked().values[other]), bound)
          << rank << ": got key " << got_keys[rank] << ", expected " << keys[rank];
    }
    if (rank > 0 && got_scores[rank] == got_scores[rank - 1]) {
      ASSERT_LT(got_keys[rank - 1], got_keys[rank]) << "equal scores go by lower index";
    } else if (rank > 0) {
      ASSERT_FALSE(got_scores[rank] > got_scores[rank - 1]) << rank;
    }
  }
}

TEST_P(QkctlConformanceTest, TheBestKeysAreFound) {
  ASSERT_TRUE(case_.Expects("top_3_indices"));
  const Array keys = case_.Expected("top_3_indices");
  const Array scores = case_.Expected("top_3_scores");
  const Array got_scores = Score({"--output=top_k", absl::StrCat("--top_k=", kBest),
                                  absl::StrCat("--indices_out=", Path("keys.npy"))});
  ASSERT_EQ(got_scores.shape, scores.shape);
  const Array got_keys = ReadArray(Path("keys.npy"));
  ASSERT_EQ(got_keys.shape, keys.shape);
  for (int64_t row = 0; row < case_.rows(); ++row) {
    const int64_t at = row * kBest;
    ExpectBest(row, &got_keys.values[at], &got_scores.values[at], &keys.values[at],
               &scores.values[at]);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace qkserve
