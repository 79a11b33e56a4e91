#ifndef QKSERVE_TOOLS_QKCTL_INPUT_MADE_KEY_SET_H_
#define QKSERVE_TOOLS_QKCTL_INPUT_MADE_KEY_SET_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "qkserve/client.h"
#include "qkserve/tensor.h"
#include "tools/qkctl/input/upload.h"

namespace qkserve {

// Keys [m, d] and values [m, dv]. As a flag: m,d or m,d,dv.
struct KeySetSizes {
  int64_t m = 0;
  int64_t d = 0;
  std::optional<int64_t> dv;  // nullopt: there are no values
};
bool ParseFlag(absl::string_view text, KeySetSizes* sizes, std::string* error);

// Random keys from `seed`, and random values from `seed` + 1. Once `stop` is true, reading them
// returns CANCELLED.
KeySetContents RandomContents(const KeySetSizes& sizes, uint64_t seed,
                              const std::atomic<bool>* stop);

// A name that no other key set has.
std::string UniqueKeySetName();

// A key set that is on the server as long as this object exists.
class MadeKeySet {
 public:
  // Uploads the set, with a progress line. `storage` is as in PutKeySetOptions. ALREADY_EXISTS: it
  // would replace a key set, and delete that in the end. Other errors are the server's.
  static absl::StatusOr<std::unique_ptr<MadeKeySet>> Create(Client* client, std::string name,
                                                            const KeySetContents& contents,
                                                            std::optional<DataType> storage,
                                                            const ConnectionOptions& connection);
  MadeKeySet(const MadeKeySet&) = delete;
  MadeKeySet& operator=(const MadeKeySet&) = delete;
  ~MadeKeySet() { Remove().IgnoreError(); }

  const std::string& name() const { return name_; }
  int64_t version() const { return version_; }

  // Removes the key set now. Blocks for some seconds if the server does not answer.
  // FAILED_PRECONDITION: it has been replaced meanwhile, and is left. NOT_FOUND: it is not there.
  absl::Status Remove();

 private:
  MadeKeySet(Client* client, std::string name, absl::Duration timeout)
      : client_(client), name_(std::move(name)), timeout_(timeout) {}

  absl::Status TryRemove();

  Client* const client_;
  const std::string name_;
  const absl::Duration timeout_;
  int64_t version_ = 0;  // 0: the upload was not acknowledged
  bool removed_ = false;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_INPUT_MADE_KEY_SET_H_
