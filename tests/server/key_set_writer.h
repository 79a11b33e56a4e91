#ifndef QKSERVE_TESTS_SERVER_KEY_SET_WRITER_H_
#define QKSERVE_TESTS_SERVER_KEY_SET_WRITER_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "qkserve/client.h"

namespace qkserve {

// Changes one set, and knows what the set should hold.
class KeySetWriter {
 public:
  // Rows that are put or appended at once. The seed defines their contents.
  struct Part {
    uint64_t seed;
    int64_t rows;
  };
  using Parts = std::vector<Part>;

  struct Kind {
    std::string name;
    Shape leading;
    int64_t d;
    int64_t dv;
    DataType storage;
  };

  // The versions that clients have seen.
  class Versions {
   public:
    // Adds a version. Returns false if a client has seen the version before.
    bool Add(int64_t version) {
      MutexLock lock(&mutex_);
      return seen_.insert(version).second;
    }

   private:
    Mutex mutex_;
    std::set<int64_t> seen_ ABSL_GUARDED_BY(mutex_);
  };

  KeySetWriter(Kind kind, uint64_t seed, Versions* versions)
      : kind_(std::move(kind)), random_(seed), versions_(*versions) {}

  // Makes changes until one fails. No change may fail before `is_killed` is true.
  void Run(Client& client, const std::atomic<bool>& is_killed, std::atomic<int64_t>& acknowledged);

  // Called after a restart. Continues from the server's state. `memory` is a client of a server
  // that is never killed.
  void Check(Client& client, Client& memory);

  // The number of changes that happened although their reply was lost.
  int64_t happened() const { return happened_; }

 private:
  enum class Change { kPut, kAppend, kDelete };

  void Choose();

  absl::Status Make(Client& client);

  absl::StatusOr<KeySetInfo> Append(Client& client) const;

  void CheckContents(const KeySetInfo& info, Client& client, Client& memory) const;

  // Sends an append again, like a client that does not know whether the append happened.
  void SendAgain(Client& client);

  const Kind kind_;
  std::mt19937_64 random_;
  Versions& versions_;
  int64_t version_ = 0;  // the acknowledged version; 0: there is no set
  Parts parts_;
  std::optional<Change> change_;  // a change that was not acknowledged
  int64_t base_version_ = 0;
  Parts next_;
  int64_t happened_ = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SERVER_KEY_SET_WRITER_H_
