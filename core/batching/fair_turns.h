#ifndef QKSERVE_CORE_BATCHING_FAIR_TURNS_H_
#define QKSERVE_CORE_BATCHING_FAIR_TURNS_H_

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <utility>

#include "absl/time/time.h"

namespace qkserve {

// Chooses the owner whose turn it is, among the owners that have work. Each gets an equal share of
// the time while it has work, whatever the amount and the portions of its work.
//
// This is start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996). The clock of an owner is the
// time of the work that it was given. Three rules:
//
//  1. An owner that had no work has saved up at most `savings_max` when it comes back: its clock is
//     at most this much behind the latest clock of a chosen owner. So an owner that needs less than
//     its share gets a short burst of work done before the others. The returning owner goes before
//     others with the same clock, so it does not wait for another owner's whole portion.
//  2. An owner that took more than its share and then had no work owes the excess when it comes
//     back. If no owner has work, all debts end and all savings are full again.
//  3. A clock is kept only while its owner has work, or has not saved up all that it may.
//
// If all else is equal, the owner with the lower id goes first. A call takes O(log n). ForgetSaved
// may take longer, but it drops each clock only once.
//
// Thread-compatible.
template <class Id>
class FairTurns {
 public:
  explicit FairTurns(absl::Duration savings_max = absl::ZeroDuration())
      : savings_max_(savings_max) {}

  // Tells whether `id` has work. A repeated call changes nothing.
  void SetActive(const Id& id, bool active) {
    const auto found = owners_.find(id);
    const bool was_active = found != owners_.end() && found->second.is_active;
    if (active == was_active) return;
    if (active) {
      Owner owner = found == owners_.end() ? Owner{.clock = Earliest()} : found->second;
      kept_.erase({owner.clock, id});
      owner.clock = std::max(owner.clock, Earliest());
      owner.is_active = true;
      owner.was_served = false;
      owners_[id] = owner;
      active_.insert({owner.clock, owner.was_served, id});
    } else {
      Owner& owner = found->second;
      active_.erase({owner.clock, owner.was_served, id});
      owner.is_active = false;
      if (active_.empty()) {  // rule 2
        kept_.clear();
        owners_.clear();
        return;
      }
      kept_.emplace(owner.clock, id);
      ForgetSaved();
    }
  }

  bool HasActive() const { return !active_.empty(); }

  // Returns the number of clocks that are kept. For tests.
  size_t size() const { return owners_.size(); }

  // Returns the owner whose turn it is. Requires HasActive().
  Id Choose() {
    const Turn next = *active_.begin();
    now_ = std::max(now_, next.clock);
    ForgetSaved();
    return next.id;
  }

  // Advances the clock of `id` by `cost`, the time of the work that it was given. The owner may
  // have no work left.
  void Charge(const Id& id, absl::Duration cost) {
    const auto [found, is_new] = owners_.try_emplace(id, Owner{.clock = Earliest()});
    Owner& owner = found->second;
    const Turn last = {owner.clock, owner.was_served, id};
    owner.clock = std::max(owner.clock, Earliest()) + cost;
    owner.was_served = true;
    if (owner.is_active) {
      auto turn = active_.extract(last);  // allocates no memory, unlike erase and insert
      turn.value() = {owner.clock, owner.was_served, id};
      active_.insert(std::move(turn));
    } else {
      if (!is_new) kept_.erase({last.clock, id});
      kept_.emplace(owner.clock, id);
    }
  }

 private:
  struct Owner {
    absl::Duration clock;
    bool is_active = false;
    bool was_served = false;  // since it became active
  };
  struct Turn {
    absl::Duration clock;
    bool was_served;
    Id id;

    // This is not defaulted, because the Duration of Abseil in Debian 12 has no operator<=>.
    friend bool operator<(const Turn& a, const Turn& b) {
      if (a.clock != b.clock) return a.clock < b.clock;
      if (a.was_served != b.was_served) return b.was_served;
      return a.id < b.id;
    }
  };

  // Returns the earliest clock that an owner without work can have.
  absl::Duration Earliest() const { return now_ - savings_max_; }

  // Drops the clocks of owners that have no work and have saved up all that they may.
  void ForgetSaved() {
    while (!kept_.empty() && kept_.begin()->first <= Earliest()) {
      owners_.erase(kept_.begin()->second);
      kept_.erase(kept_.begin());
    }
  }

  const absl::Duration savings_max_;
  absl::Duration now_;  // the latest clock of an owner that was chosen
  std::map<Id, Owner> owners_;
  std::set<Turn> active_;  // owners that have work, in the order of their turns
  std::set<std::pair<absl::Duration, Id>> kept_;  // owners that have no work
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_FAIR_TURNS_H_
