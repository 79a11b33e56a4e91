#ifndef QKSERVE_CLIENT_QKCTL_MADE_KEY_SET_H_
#define QKSERVE_CLIENT_QKCTL_MADE_KEY_SET_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/client.h"
#include "client/key_set.h"
#include "core/tensor.h"

namespace qkserve {

// --make_key_set=m,d[,dv]
struct MakeKeySetFlag {
  int64_t m = 0;
  int64_t d = 0;
  std::optional<int64_t> dv;  // values
};
bool AbslParseFlag(absl::string_view text, MakeKeySetFlag* flag, std::string* error);
std::string AbslUnparseFlag(const MakeKeySetFlag& flag);

// float32 elements from -1 to 1 that depend on `seed` and their place alone; they are made while
// they are sent. CANCELLED once `stop` is true.
TensorSource RandomSource(Shape shape, uint64_t seed, const std::atomic<bool>* stop);

// A key set that is on the server as long as this object is there.
class MadeKeySet {
 public:
  // `name`: empty for one that nobody else has. Uploads with a progress line.
  // ALREADY_EXISTS: it would replace a key set, and delete it in the end. Or the server's errors.
  static absl::StatusOr<std::unique_ptr<MadeKeySet>> Create(Client* client, std::string name,
                                                            const MakeKeySetFlag& flag,
                                                            uint64_t seed,
                                                            const std::atomic<bool>* stop);
  MadeKeySet(const MadeKeySet&) = delete;
  MadeKeySet& operator=(const MadeKeySet&) = delete;
  ~MadeKeySet() { Remove().IgnoreError(); }

  const std::string& name() const { return name_; }

  // Earlier than the end, to learn whether it worked.
  absl::Status Remove();

 private:
  MadeKeySet(Client* client, std::string name) : client_(client), name_(std::move(name)) {}

  Client* const client_;
  const std::string name_;
  bool removed_ = false;
};

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_QKCTL_MADE_KEY_SET_H_
