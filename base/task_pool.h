#ifndef QKSERVE_BASE_TASK_POOL_H_
#define QKSERVE_BASE_TASK_POOL_H_

#include <deque>
#include <functional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace qkserve {

// A few threads for work that may block, such as file access and packing. Tasks start in the order
// in which they were scheduled. Thread-safe.
class TaskPool {
 public:
  // Starts `threads` threads, or fewer if the system gives no more. Throws std::system_error if the
  // system gives none.
  explicit TaskPool(int threads) {
    threads_.reserve(static_cast<size_t>(threads));
    try {
      for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Loop(); });
    } catch (const std::system_error&) {
      // Fewer threads do the same work, only slower.
      if (threads_.empty()) throw;
    }
  }

  // Runs the tasks that are still waiting. Blocks until all have ended.
  ~TaskPool() {
    {
      MutexLock lock(&mutex_);
      shutdown_ = true;
      changed_.NotifyAll();
    }
    for (std::thread& thread : threads_) thread.join();
  }

  TaskPool(const TaskPool&) = delete;
  TaskPool& operator=(const TaskPool&) = delete;

  // Runs `task` later, on one of the threads. Does not block.
  void Schedule(std::function<void()> task) {
    MutexLock lock(&mutex_);
    tasks_.push_back(std::move(task));
    changed_.NotifyOne();
  }

 private:
  void Loop() {
    while (true) {
      std::function<void()> task;
      {
        MutexLock lock(&mutex_);
        while (tasks_.empty() && !shutdown_) changed_.Wait(&mutex_);
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      task();
    }
  }

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  bool shutdown_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace qkserve

#endif  // QKSERVE_BASE_TASK_POOL_H_
