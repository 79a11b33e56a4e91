#ifndef QKSERVE_TESTS_SUPPORT_PUPPET_JOB_H_
#define QKSERVE_TESTS_SUPPORT_PUPPET_JOB_H_

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "core/batching/job.h"

namespace qkserve {

// Tells a PuppetJob what to do, and records what happened to it. Outlives the job. Thread-safe.
class PuppetStrings {
 public:
  // Runs inside RunTile, before the tile counts as run. The status that it returns becomes the
  // tile's status.
  std::function<absl::Status(int64_t tile)> on_tile = [](int64_t) { return absl::OkStatus(); };

  // For jobs of a group. Called with the number of jobs in a pass. If it fails, making the pass
  // fails with its status.
  std::function<absl::Status(int64_t jobs)> on_pass = [](int64_t) { return absl::OkStatus(); };
  int64_t pass_tiles = 1;

  void Cancel() {
    MutexLock lock(&mutex_);
    cancelled_ = true;
  }
  bool cancelled() const {
    MutexLock lock(&mutex_);
    return cancelled_;
  }

  void TileRan(int64_t tile) {
    MutexLock lock(&mutex_);
    tiles_run_.push_back(tile);
  }
  std::vector<int64_t> tiles_run() const {
    MutexLock lock(&mutex_);
    return tiles_run_;
  }

  void Finished(const absl::Status& status, const JobReceipt& receipt) {
    MutexLock lock(&mutex_);
    statuses_.push_back(status);
    receipt_ = receipt;
    changed_.NotifyAll();
  }
  // Waits for the first Finish.
  absl::Status AwaitStatus() {
    MutexLock lock(&mutex_);
    while (statuses_.empty()) changed_.Wait(&mutex_);
    return statuses_.front();
  }
  int64_t times_finished() const {
    MutexLock lock(&mutex_);
    return static_cast<int64_t>(statuses_.size());
  }
  JobReceipt receipt() const {
    MutexLock lock(&mutex_);
    return receipt_;
  }

 private:
  mutable Mutex mutex_;
  CondVar changed_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<int64_t> tiles_run_ ABSL_GUARDED_BY(mutex_);
  std::vector<absl::Status> statuses_ ABSL_GUARDED_BY(mutex_);
  JobReceipt receipt_ ABSL_GUARDED_BY(mutex_);
};

// A pass that computes nothing and does what its strings say.
class PuppetPass : public Pass {
 public:
  PuppetPass(std::shared_ptr<PuppetStrings> strings, int64_t tile_count)
      : strings_(std::move(strings)), tile_count_(tile_count) {}

  int64_t tile_count() const override { return tile_count_; }
  absl::Status RunTile(int64_t tile) override {
    absl::Status status = strings_->on_tile(tile);
    strings_->TileRan(tile);
    return status;
  }

 private:
  const std::shared_ptr<PuppetStrings> strings_;
  const int64_t tile_count_;
};

// A job that computes nothing and does what its strings say.
class PuppetJob : public Job {
 public:
  explicit PuppetJob(std::shared_ptr<PuppetStrings> strings) : strings_(std::move(strings)) {}

  absl::Status RunTile(int64_t tile) override {
    absl::Status status = strings_->on_tile(tile);
    strings_->TileRan(tile);
    return status;
  }
  void Finish(const absl::Status& status, const JobReceipt& receipt) override {
    strings_->Finished(status, receipt);
  }
  bool IsCancelled() const override { return strings_->cancelled(); }

  // The strings of the first job decide the result.
  absl::StatusOr<std::unique_ptr<Pass>> MakePass(
      absl::Span<const PassRequest* const> requests) override {
    absl::Status status = strings_->on_pass(static_cast<int64_t>(requests.size()));
    if (!status.ok()) return status;
    return std::make_unique<PuppetPass>(strings_, strings_->pass_tiles);
  }

 private:
  const std::shared_ptr<PuppetStrings> strings_;
};

// A gate at which threads wait until it is opened.
class Gate {
 public:
  void Open() {
    MutexLock lock(&mutex_);
    open_ = true;
    changed_.NotifyAll();
  }
  // Counts the caller as arrived and waits for Open.
  void Pass() {
    MutexLock lock(&mutex_);
    ++arrived_;
    changed_.NotifyAll();
    while (!open_) changed_.Wait(&mutex_);
  }
  void AwaitArrivals(int64_t count) {
    MutexLock lock(&mutex_);
    while (arrived_ < count) changed_.Wait(&mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t arrived_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_PUPPET_JOB_H_
