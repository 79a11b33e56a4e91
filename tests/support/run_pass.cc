#include "tests/support/run_pass.h"

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "core/scoring/inline_keys.h"
#include "core/scoring/score_pass.h"
#include "gtest/gtest.h"

namespace qkserve {

int64_t RunPass(std::shared_ptr<const KeySource> source,
                absl::Span<const ScoreRequest* const> requests, int threads) {
  const std::unique_ptr<Pass> pass = MakeScorePass(std::move(source), requests).value();
  std::atomic<int64_t> next{pass->tile_count()};
  const auto work = [&] {
    for (int64_t tile = --next; tile >= 0; tile = --next) {
      EXPECT_TRUE(pass->RunTile(tile).ok());
    }
  };
  std::vector<std::thread> workers;
  for (int i = 1; i < threads; ++i) workers.emplace_back(work);
  work();
  for (std::thread& worker : workers) worker.join();
  return pass->tile_count();
}

int64_t RunInline(const ScoreRequest& request, int threads) {
  const ScoreRequest* const requests[] = {&request};
  return RunPass(std::make_shared<InlineKeys>(request.problem, request.shape), requests, threads);
}

}  // namespace qkserve
