#include "base/background_thread.h"

#include "gtest/gtest.h"

namespace qkserve {
namespace {

// Counts the steps of a thread. A test can wait until there were enough.
class StepCounter {
 public:
  void Count() {
    MutexLock lock(&mutex_);
    ++steps_;
    changed_.NotifyAll();
  }
  void Await(int steps) {
    MutexLock lock(&mutex_);
    while (steps_ < steps) changed_.Wait(&mutex_);
  }
  int steps() {
    MutexLock lock(&mutex_);
    return steps_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int steps_ ABSL_GUARDED_BY(mutex_) = 0;
};

TEST(BackgroundThreadTest, RepeatsTheStepAfterItsPause) {
  StepCounter counter;
  BackgroundThread thread([&] {
    counter.Count();
    return absl::Microseconds(1);
  });
  counter.Await(10);
}

TEST(BackgroundThreadTest, WakeEndsThePause) {
  StepCounter counter;
  BackgroundThread thread([&] {
    counter.Count();
    return absl::InfiniteDuration();
  });
  counter.Await(1);
  thread.Wake();
  counter.Await(2);
}

TEST(BackgroundThreadTest, WakeDuringAStepLeavesOutThePauseAfterIt) {
  StepCounter begun;
  StepCounter released;
  BackgroundThread thread([&] {
    begun.Count();
    released.Await(1);
    return absl::InfiniteDuration();
  });
  begun.Await(1);
  thread.Wake();
  released.Count();
  begun.Await(2);
}

TEST(BackgroundThreadTest, NoStepBeginsAfterTheStop) {
  StepCounter begun;
  StepCounter released;
  {
    BackgroundThread thread([&] {
      begun.Count();
      released.Await(1);
      return absl::ZeroDuration();
    });
    begun.Await(1);
    thread.RequestStop();
    EXPECT_TRUE(thread.IsStopRequested());
    released.Count();
  }
  EXPECT_EQ(begun.steps(), 1);
}

TEST(BackgroundThreadTest, TheDestructorEndsAnEndlessPause) {
  StepCounter counter;
  BackgroundThread thread([&] {
    counter.Count();
    return absl::InfiniteDuration();
  });
  counter.Await(1);
}

}  // namespace
}  // namespace qkserve
