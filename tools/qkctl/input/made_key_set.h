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
#include "qkserve/client.h"
#include "qkserve/key_set.h"
#include "qkserve/tensor.h"

namespace qkserve {

// --make_key_set=m,d[,dv]
struct MakeKeySetFlag {
  int64_t m = 0;
  int64_t d = 0;
  std::optional<int64_t> dv;  // values
};
bool AbslParseFlag(absl::string_view text, MakeKeySetFlag* flag, std::string* error);
std::string AbslUnparseFlag(const MakeKeySetFlag& flag);

// What a key set is made of.
struct KeySetContents {
  TensorSource keys;
  std::optional<TensorSource> values;
};

// The contents of random numbers; `seed` and the next one are used up.
KeySetContents RandomContents(const MakeKeySetFlag& flag, uint64_t seed,
                              const std::atomic<bool>* stop);

// A name that no other key set has.
std::string UniqueKeySetName();

// A key set that is on the server as long as this object is there.
class MadeKeySet {
 public:
  // Uploads with a progress line.
  // ALREADY_EXISTS: it would replace a key set, and delete it in the end. Or the server's errors.
  static absl::StatusOr<std::unique_ptr<MadeKeySet>> Create(Client* client, std::string name,
                                                            const KeySetContents& contents);
  MadeKeySet(const MadeKeySet&) = delete;
  MadeKeySet& operator=(const MadeKeySet&) = delete;
  ~MadeKeySet() { Remove().IgnoreError(); }

  const std::string& name() const { return name_; }
  int64_t version() const { return version_; }

  // Earlier than the end, to learn whether it worked. FAILED_PRECONDITION: somebody else has
  // replaced it, and it was left. NOT_FOUND: it is not there.
  absl::Status Remove();

 private:
  MadeKeySet(Client* client, std::string name) : client_(client), name_(std::move(name)) {}

  absl::Status TryRemove();

  Client* const client_;
  const std::string name_;
  int64_t version_ = 0;  // 0: the upload was not acknowledged
  bool removed_ = false;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_INPUT_MADE_KEY_SET_H_
