#ifndef QKSERVE_SERVER_ADMISSION_TENANTS_H_
#define QKSERVE_SERVER_ADMISSION_TENANTS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "core/batching/job.h"
#include "server/access/identity.h"
#include "server/admission/tenant_quotas.h"
#include "server/admission/token_bucket.h"

namespace qkserve {

// How a tenant's score call ended.
enum class TenantOutcome {
  kOk,
  kQuota,    // refused by the tenant's quota
  kRefused,  // turned away for another reason, before any work was done
  kFailed    // cancelled, late, or an error
};
inline constexpr std::array kTenantOutcomeNames = {"ok", "quota", "refused", "failed"};

// Counts of a tenant's score calls.
struct TenantCounts {
  std::array<int64_t, kTenantOutcomeNames.size()> requests = {};
  absl::Duration compute;  // time that workers spent on its calls
  absl::Duration queue;    // time that its answered calls were queued

  TenantCounts& operator+=(const TenantCounts& other);
};

// A payer of calls. A call holds its tenant until the call is counted. Thread-safe.
class Tenant {
 public:
  Tenant(TenantId id, std::string name) : id_(id), name_(std::move(name)) {}

  TenantId id() const { return id_; }
  const std::string& name() const { return name_; }

  bool has_quota() const { return has_quota_.load(std::memory_order_relaxed); }

  // Takes `cost`, a predicted CPU time, from the tenant's quota. RESOURCE_EXHAUSTED with the limit
  // "tenant_quota_file": the quota does not allow this cost yet. The status says when it will.
  absl::Status TakeQuota(absl::Duration cost, absl::Time now);
  // Puts back what was taken and not used.
  void GiveBackQuota(absl::Duration unused);

  // Sets the quota, in seconds of CPU time a second. nullopt: there is no quota.
  void SetQuota(std::optional<double> rate, absl::Time now);

  // Counts a call that has ended.
  void Count(TenantOutcome outcome, const JobReceipt& receipt);
  // The counts so far.
  TenantCounts counts() const;
  // Adds the counts of a tenant that is forgotten.
  void Add(const TenantCounts& counts);

 private:
  const TenantId id_;
  const std::string name_;

  std::atomic<bool> has_quota_{false};  // spares tenants without a quota the lock
  Mutex mutex_;
  std::optional<TokenBucket> quota_ ABSL_GUARDED_BY(mutex_);

  // Relaxed atomics. A reader may see a call in one of them and not yet in another.
  std::array<std::atomic<int64_t>, kTenantOutcomeNames.size()> requests_ = {};
  std::atomic<int64_t> compute_ns_{0}, queue_ns_{0};
};

// All tenants by name, with their quotas. Thread-safe.
//
// At most kTenantsMax unauthenticated names are kept. Further unauthenticated names share the
// tenant kOther, unless an idle name can be forgotten. A name is idle if it had no calls for
// kTenantIdleMin. An authenticated name always gets a separate tenant. If kTenantsMax authenticated
// names are kept, a new one makes the server forget an idle one, if it finds one. A forgotten
// name's counts are added to the counts of kOther, so that sums over tenants never fall.
class Tenants {
 public:
  static constexpr const char* kOther = kOtherTenants;

  // Returns the tenant of this name, never null. `is_authenticated` tells that the caller has
  // proved to have this name.
  std::shared_ptr<Tenant> Find(const std::string& name, bool is_authenticated, absl::Time now);

  // Sets the quotas from now on, for known tenants, too.
  void SetQuotas(TenantQuotas quotas, absl::Time now);

  // Returns up to `max` tenants that computed most, then kOther.
  std::vector<std::shared_ptr<const Tenant>> Largest(size_t max) const;

  // The number of tenants, kOther not included.
  int64_t count() const;

 private:
  struct Entry {
    std::shared_ptr<Tenant> tenant;
    absl::Time last_used;
    bool is_authenticated = false;
  };
  using Entries = std::list<Entry>;

  std::shared_ptr<Tenant> Make(const std::string& name, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Entries& EntriesOf(bool is_authenticated) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return is_authenticated ? authenticated_ : unauthenticated_;
  }
  // Forgets an idle name. Returns false if it finds none.
  bool ForgetOne(absl::Time now, Entries& entries) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  // Each list ends with the tenant that was used last.
  Entries authenticated_ ABSL_GUARDED_BY(mutex_);
  Entries unauthenticated_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<std::string, Entries::iterator> by_name_ ABSL_GUARDED_BY(mutex_);
  uint64_t ids_ ABSL_GUARDED_BY(mutex_) = 0;  // ids are never used again
  TenantQuotas quotas_ ABSL_GUARDED_BY(mutex_);
  const std::shared_ptr<Tenant> other_ = std::make_shared<Tenant>(TenantId{0}, kOther);
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ADMISSION_TENANTS_H_
