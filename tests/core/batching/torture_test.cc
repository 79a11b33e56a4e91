// Real computations of all sizes at once through a real batcher. The test is meant for
// ThreadSanitizer, but the answers are checked in every build.

#include <atomic>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "core/batching/batcher.h"
#include "core/scoring/inline_keys.h"
#include "core/scoring/score_cost.h"
#include "core/scoring/score_pass.h"
#include "gtest/gtest.h"
#include "tests/support/random_tensor.h"
#include "tests/support/run_pass.h"

namespace qkserve {
namespace {

struct Workload {
  Tensor queries, keys, values;
  AttentionProblem problem;
  ScoreShape shape;
  absl::Duration cost;
  Shape result_shape;
  Tensor expected;

  Workload(const Shape& q, const Shape& k, DataType type, Output output, uint64_t seed)
      : queries(RandomTensor(type, q, seed)),
        keys(RandomTensor(type, k, seed + 1)),
        values(RandomTensor(type, k, seed + 2)) {
    problem.queries = queries.View();
    problem.keys = keys.View();
    problem.scale = 0.5F;
    problem.output = output;
    if (output == Output::kContext) problem.values = values.View();
    shape = MakeScoreShape("queries", q, "keys", k).value();
    result_shape = shape.result;
    if (output == Output::kContext) result_shape.back() = k.back();
    cost = PredictCost(InlineKeys(problem, shape), problem, shape, 50).alone;
    expected = EmptyTensor(DataType::kFloat32, result_shape);
    RunInline({problem, shape, {.result = expected.data.data()}});
  }
};

// How the jobs ended.
struct Tally {
  std::atomic<int64_t> ok{0}, wrong{0}, cancelled{0}, expired{0}, refused{0}, other{0};
  std::atomic<int64_t> batched{0};
  int64_t Total() const { return ok + wrong + cancelled + expired + refused + other; }
};

class CheckedJob : public Job {
 public:
  CheckedJob(const Workload* workload, std::shared_ptr<std::atomic<bool>> cancelled, Tally* tally)
      : workload_(*workload),
        cancelled_(std::move(cancelled)),
        tally_(*tally),
        result_(EmptyTensor(DataType::kFloat32, workload->result_shape)),
        request_{workload->problem, workload->shape, {.result = result_.data.data()}} {
    const ScoreRequest* const requests[] = {&request_};
    pass_ =
        MakeScorePass(std::make_shared<InlineKeys>(workload_.problem, workload_.shape), requests)
            .value();
  }

  int64_t tile_count() const { return pass_->tile_count(); }

  absl::Status RunTile(int64_t tile) override { return pass_->RunTile(tile); }
  void Finish(const absl::Status& status, const JobReceipt& receipt) override {
    if (receipt.batch_requests > 1) ++tally_.batched;
    switch (status.code()) {
      case absl::StatusCode::kOk:
        ++(std::memcmp(result_.data.data(), workload_.expected.data.data(),
                       result_.data.size_bytes()) == 0
               ? tally_.ok
               : tally_.wrong);
        break;
      case absl::StatusCode::kCancelled:
        ++tally_.cancelled;
        break;
      case absl::StatusCode::kDeadlineExceeded:
        ++tally_.expired;
        break;
      case absl::StatusCode::kResourceExhausted:
        ++tally_.refused;
        break;
      default:
        ++tally_.other;
    }
  }
  bool IsCancelled() const override { return *cancelled_; }

 private:
  const Workload& workload_;
  const std::shared_ptr<std::atomic<bool>> cancelled_;
  Tally& tally_;
  Tensor result_;
  const ScoreRequest request_;
  std::unique_ptr<Pass> pass_;
};

TEST(TortureTest, ConcurrentMixedWorkGetsTheSameBitsAndOneStatusEach) {
  std::vector<std::unique_ptr<Workload>> workloads;
  const auto add = [&workloads](const Shape& q, const Shape& k, DataType type,
                                Output output = Output::kScores) {
    workloads.push_back(std::make_unique<Workload>(q, k, type, output, workloads.size() * 3 + 1));
  };
  add({1, 16}, {8, 16}, DataType::kFloat32);
  add({16, 64}, {128, 64}, DataType::kFloat32);
  add({3, 200}, {301, 200}, DataType::kFloat16);
  add({1, 300}, {2500, 300}, DataType::kFloat32);
  add({2, 4, 5, 32}, {2, 2, 60, 32}, DataType::kBfloat16);
  add({20, 32}, {700, 32}, DataType::kFloat32, Output::kWeights);
  add({300, 64}, {2100, 64}, DataType::kFloat32);
  add({40, 64}, {9000, 64}, DataType::kFloat32, Output::kContext);
  add({64, 700}, {1500, 700}, DataType::kFloat16);

  constexpr int kThreads = 4;
  constexpr int kJobsPerThread = 250;
  Tally tally;
  {
    BatchPolicyOptions options;
    options.workers = 3;
    options.queued_requests_max = 200;
    const std::unique_ptr<Batcher> batcher = Batcher::Create(options, Clock::Monotonic()).value();
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937 random(static_cast<uint32_t>(t));
        std::vector<std::shared_ptr<std::atomic<bool>>> flags;
        for (int i = 0; i < kJobsPerThread; ++i) {
          // Most jobs arrive while the queue is below its limit, and some while it is above.
          while (random() % 8 != 0 && batcher->GetStats().queue.requests() > 150) {
            std::this_thread::yield();
          }
          // Small workloads are picked far more often than large ones.
          const size_t pick = std::min(random() % workloads.size(), random() % workloads.size());
          flags.push_back(std::make_shared<std::atomic<bool>>(false));
          const Workload& workload = *workloads[pick];
          auto job = std::make_unique<CheckedJob>(&workload, flags.back(), &tally);
          JobSpec spec = {.tile_count = job->tile_count(),
                          .cost = workload.cost,
                          .rows = workload.shape.Rows()};
          if (random() % 16 == 0) {
            spec.deadline = Clock::Monotonic()->Now() + absl::Microseconds(random() % 3000);
          }
          batcher->Submit(std::move(job), spec);
          if (random() % 16 == 0) *flags[random() % flags.size()] = true;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    batcher->Drain();
    EXPECT_EQ(tally.Total(), kThreads * kJobsPerThread);
    EXPECT_EQ(batcher->GetStats().requests_answered, tally.ok);
  }
  EXPECT_EQ(tally.wrong, 0);
  EXPECT_EQ(tally.other, 0);
  EXPECT_GT(tally.ok, kThreads * kJobsPerThread / 4);
  EXPECT_GT(tally.batched, 0);
}

}  // namespace
}  // namespace qkserve
