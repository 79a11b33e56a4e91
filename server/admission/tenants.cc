#include "server/admission/tenants.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/limit_error.h"
#include "server/limits.h"

namespace qkserve {

TenantCounts& TenantCounts::operator+=(const TenantCounts& other) {
  for (size_t i = 0; i < requests.size(); ++i) requests[i] += other.requests[i];
  compute += other.compute;
  queue += other.queue;
  return *this;
}

absl::Status Tenant::TakeQuota(absl::Duration cost, absl::Time now) {
  if (!has_quota_.load(std::memory_order_relaxed)) return absl::OkStatus();
  MutexLock lock(&mutex_);
  if (!quota_.has_value()) return absl::OkStatus();
  // The wait is rounded up to milliseconds, because callers are told milliseconds.
  const absl::Duration wait = absl::Ceil(quota_->Take(cost, now), absl::Milliseconds(1));
  if (wait <= absl::ZeroDuration()) return absl::OkStatus();
  const bool is_none = wait == absl::InfiniteDuration();
  absl::Status status = LimitError(
      "tenant_quota_file",
      absl::StrCat("the quota of tenant ", name_, " is used up: the request needs ",
                   absl::FormatDuration(cost), " of CPU time, ",
                   is_none ? "and the quota is 0"
                           : absl::StrCat("which it may have in ", absl::FormatDuration(wait))));
  // A status without a retry time tells the caller not to retry.
  return is_none ? status : WithRetryAfter(status, wait);
}

void Tenant::GiveBackQuota(absl::Duration unused) {
  if (!has_quota_.load(std::memory_order_relaxed)) return;
  MutexLock lock(&mutex_);
  if (quota_.has_value()) quota_->GiveBack(unused);
}

void Tenant::SetQuota(std::optional<double> rate, absl::Time now) {
  MutexLock lock(&mutex_);
  if (!rate.has_value()) {
    quota_.reset();
  } else if (quota_.has_value()) {
    quota_->SetRate(*rate, now);
  } else {
    quota_.emplace(*rate, now);
  }
  has_quota_.store(rate.has_value(), std::memory_order_relaxed);
}

void Tenant::Count(TenantOutcome outcome, const JobReceipt& receipt) {
  TenantCounts counts;
  counts.requests[static_cast<size_t>(outcome)] = 1;
  counts.compute = receipt.worker_time;
  if (outcome == TenantOutcome::kOk) counts.queue = receipt.queued;
  Add(counts);
}

void Tenant::Add(const TenantCounts& counts) {
  for (size_t i = 0; i < requests_.size(); ++i) {
    requests_[i].fetch_add(counts.requests[i], std::memory_order_relaxed);
  }
  compute_ns_.fetch_add(absl::ToInt64Nanoseconds(counts.compute), std::memory_order_relaxed);
  queue_ns_.fetch_add(absl::ToInt64Nanoseconds(counts.queue), std::memory_order_relaxed);
}

TenantCounts Tenant::counts() const {
  TenantCounts counts;
  for (size_t i = 0; i < requests_.size(); ++i) {
    counts.requests[i] = requests_[i].load(std::memory_order_relaxed);
  }
  counts.compute = absl::Nanoseconds(compute_ns_.load(std::memory_order_relaxed));
  counts.queue = absl::Nanoseconds(queue_ns_.load(std::memory_order_relaxed));
  return counts;
}

std::shared_ptr<Tenant> Tenants::Find(const std::string& name, bool is_authenticated,
                                      absl::Time now) {
  MutexLock lock(&mutex_);
  if (name == kOther) return other_;
  const auto found = by_name_.find(name);
  if (found != by_name_.end()) {
    Entry& entry = *found->second;
    // An unauthenticated caller cannot spend the quota of an authenticated name by claiming that
    // name.
    if (entry.is_authenticated && !is_authenticated) return other_;
    entry.last_used = std::max(entry.last_used, now);
    Entries& to = EntriesOf(is_authenticated);
    to.splice(to.end(), EntriesOf(std::exchange(entry.is_authenticated, is_authenticated)),
              found->second);
    return entry.tenant;
  }
  Entries& entries = EntriesOf(is_authenticated);
  const bool is_full = static_cast<int64_t>(entries.size()) >= kTenantsMax;
  if (is_full && !ForgetOne(now, entries) && !is_authenticated) return other_;
  entries.push_back({Make(name, now), now, is_authenticated});
  by_name_[name] = std::prev(entries.end());
  return entries.back().tenant;
}

std::shared_ptr<Tenant> Tenants::Make(const std::string& name, absl::Time now) {
  auto tenant = std::make_shared<Tenant>(TenantId{++ids_}, name);
  tenant->SetQuota(quotas_.RateOf(name), now);
  return tenant;
}

bool Tenants::ForgetOne(absl::Time now, Entries& entries) {
  // The most names that are looked at. This bounds the time under the lock.
  constexpr int kLooksMax = 16;
  int looks = 0;
  for (auto entry = entries.begin(); entry != entries.end() && looks < kLooksMax;
       ++entry, ++looks) {
    if (now - entry->last_used < kTenantIdleMin) return false;
    // Nobody can get this tenant meanwhile, because only Find hands tenants out, under the lock.
    if (entry->tenant.use_count() > 1) continue;
    other_->Add(entry->tenant->counts());
    by_name_.erase(entry->tenant->name());
    entries.erase(entry);
    return true;
  }
  return false;
}

void Tenants::SetQuotas(TenantQuotas quotas, absl::Time now) {
  MutexLock lock(&mutex_);
  quotas_ = std::move(quotas);
  for (const Entries* entries : {&authenticated_, &unauthenticated_}) {
    for (const Entry& entry : *entries) {
      entry.tenant->SetQuota(quotas_.RateOf(entry.tenant->name()), now);
    }
  }
  other_->SetQuota(quotas_.RateOf(kOther), now);
}

std::vector<std::shared_ptr<const Tenant>> Tenants::Largest(size_t max) const {
  std::vector<std::pair<absl::Duration, std::shared_ptr<const Tenant>>> all;
  {
    MutexLock lock(&mutex_);
    all.reserve(by_name_.size());
    for (const auto& [name, entry] : by_name_) {
      all.emplace_back(absl::ZeroDuration(), entry->tenant);
    }
  }
  for (auto& [compute, tenant] : all) compute = tenant->counts().compute;
  const auto shown = std::min(all.size(), max);
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(shown), all.end(),
                    [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::shared_ptr<const Tenant>> largest;
  largest.reserve(shown + 1);
  for (size_t i = 0; i < shown; ++i) largest.push_back(std::move(all[i].second));
  largest.push_back(other_);
  return largest;
}

int64_t Tenants::count() const {
  MutexLock lock(&mutex_);
  return static_cast<int64_t>(by_name_.size());
}

}  // namespace qkserve
