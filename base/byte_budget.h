#ifndef QKSERVE_BASE_BYTE_BUDGET_H_
#define QKSERVE_BASE_BYTE_BUDGET_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace qkserve {

// A limit on the bytes that requests in flight, or key sets, hold together. Bytes are charged
// before they are allocated.
//
// Thread-safe. A budget must outlive its charges.
class ByteBudget {
 public:
  // `name`, a string literal, names the limit in errors. `retry_after` is the usual time that a
  // charge is held. A refused caller is told to retry after this time, or up to twice as long
  // (SpreadRetryAfter). If `retry_after` is 0, errors name no time, because an early retry does not
  // help. `reserved_bytes` are a part of the limit that always counts as charged.
  ByteBudget(const char* name, int64_t bytes_max, absl::Duration retry_after = absl::ZeroDuration(),
             int64_t reserved_bytes = 0)
      : name_(name),
        bytes_max_(bytes_max),
        retry_after_(retry_after),
        reserved_bytes_(reserved_bytes),
        bytes_(reserved_bytes) {}

  // Bytes that are charged. The destructor gives them back.
  class Charge {
   public:
    Charge() = default;

    int64_t bytes() const { return budget_ != nullptr ? budget_.get_deleter().bytes : 0; }

    // Moves `bytes` of this charge, at most bytes(), into a new charge.
    Charge Split(int64_t bytes) {
      budget_.get_deleter().bytes -= bytes;
      return Charge(budget_.get(), bytes);
    }

   private:
    friend class ByteBudget;
    struct ReturnBytes {
      int64_t bytes;
      void operator()(ByteBudget* budget) const { budget->Return(bytes); }
    };

    Charge(ByteBudget* budget, int64_t bytes) : budget_(budget, ReturnBytes{bytes}) {}

    std::unique_ptr<ByteBudget, ReturnBytes> budget_;
  };

  // Charges `bytes`, which must be 0 or more. Does not block. RESOURCE_EXHAUSTED: the bytes do not
  // fit now, or exceed the limit.
  absl::StatusOr<Charge> TryCharge(int64_t bytes);

  // Charges bytes that are in memory already and can no longer be refused. bytes() may rise above
  // bytes_max(); TryCharge then refuses until bytes() has fallen.
  Charge ChargeAnyway(int64_t bytes) {
    bytes_.fetch_add(bytes, std::memory_order_relaxed);
    return Charge(this, bytes);
  }

  // Returns the bytes charged now, including the reserved ones.
  int64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  int64_t bytes_max() const { return bytes_max_; }

 private:
  void Return(int64_t bytes) { bytes_.fetch_sub(bytes, std::memory_order_relaxed); }

  const char* const name_;
  const int64_t bytes_max_;
  const absl::Duration retry_after_;
  const int64_t reserved_bytes_;
  std::atomic<int64_t> bytes_;
  std::atomic<uint64_t> refusals_{0};  // the number of the next refusal, for SpreadRetryAfter
};

}  // namespace qkserve

#endif  // QKSERVE_BASE_BYTE_BUDGET_H_
