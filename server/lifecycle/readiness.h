#ifndef QKSERVE_SERVER_LIFECYCLE_READINESS_H_
#define QKSERVE_SERVER_LIFECYCLE_READINESS_H_

#include <atomic>

namespace qkserve {

// How far the server's life has come, for whoever sends it traffic. Thread-safe.
class Readiness {
 public:
  enum class State { kLoading, kServing, kDraining };

  void Set(State state) { state_.store(state, std::memory_order_release); }
  State state() const { return state_.load(std::memory_order_acquire); }

  // For people.
  static const char* Text(State state) {
    switch (state) {
      case State::kLoading:
        return "key sets are being loaded";
      case State::kServing:
        return "ready";
      case State::kDraining:
        return "the server is draining";
    }
    return "";
  }

 private:
  std::atomic<State> state_{State::kLoading};
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_READINESS_H_
