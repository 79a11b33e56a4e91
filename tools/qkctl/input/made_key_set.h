#ifndef QKSERVE_TOOLS_QKCTL_INPUT_MADE_KEY_SET_H_
#define QKSERVE_TOOLS_QKCTL_INPUT_MADE_KEY_SET_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "qkserve/client.h"
#include "qkserve/tensor.h"
#include "tools/qkctl/input/upload.h"

namespace qkserve {

// Keys [m, d] and values [m, dv]. The flag takes m,d or m,d,dv.
struct KeySetSizes {
  int64_t m = 0;
  int64_t d = 0;
  std::optional<int64_t> dv;  // nullopt: there are no values
};
bool ParseFlag(absl::string_view text, KeySetSizes* sizes, std::string* error);

// Returns random keys from `seed`, and random values from `seed` + 1. Once `stop` is true, reading
// them returns CANCELLED.
KeySetContents RandomContents(const KeySetSizes& sizes, uint64_t seed,
                              const std::atomic<bool>* stop);

// Returns a name that no other key set has.
std::string UniqueKeySetName();

// A key set that stays on the server as long as this object exists.
class MadeKeySet {
 public:
  // Uploads the set and shows a progress line. `storage` is as in PutKeySetOptions. `stop` becomes
  // true when the user interrupts, and must outlive the object. ALREADY_EXISTS: there is a key set
  // of this name, which would be replaced now and deleted in the end. Other errors are the
  // server's.
  static absl::StatusOr<std::unique_ptr<MadeKeySet>> Create(Client* client, std::string name,
                                                            const KeySetContents& contents,
                                                            std::optional<DataType> storage,
                                                            const ConnectionOptions& connection,
                                                            const std::atomic<bool>* stop);
  MadeKeySet(const MadeKeySet&) = delete;
  MadeKeySet& operator=(const MadeKeySet&) = delete;
  // Removes the key set, and warns if it stays.
  ~MadeKeySet() { Warn(Remove(RemovalEnd())); }

  const std::string& name() const { return name_; }
  int64_t version() const { return version_; }

  // Returns the end of a removal that begins now, on Clock::Monotonic(). The removal may take 5 s,
  // whatever --timeout is, because the user waits for it at the end of a load.
  static absl::Time RemovalEnd() { return Clock::Monotonic()->Now() + absl::Seconds(5); }

  // Removes the key set now. If the server does not answer, says so on standard error and waits for
  // the server until `end`. The wait is needed because a server that keeps its key sets on disk has
  // this set again after a restart. The wait ends early when `stop` becomes true.
  //
  // FAILED_PRECONDITION: the set was replaced meanwhile, and the new set stays. NOT_FOUND: the set
  // is not there. Other errors say how to remove the set later.
  absl::Status Remove(absl::Time end);

  // Writes the error of a removal, if it is one, on standard error.
  static void Warn(const absl::Status& removed);

 private:
  MadeKeySet(Client* client, std::string name, std::string address, const std::atomic<bool>* stop)
      : client_(client), name_(std::move(name)), address_(std::move(address)), stop_(stop) {}

  absl::Status TryRemove(absl::Time end);

  Client* const client_;
  const std::string name_;
  const std::string address_;
  const std::atomic<bool>* const stop_;
  int64_t version_ = 0;  // 0: the upload was not acknowledged
  bool removed_ = false;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_INPUT_MADE_KEY_SET_H_
