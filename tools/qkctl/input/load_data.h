#ifndef QKSERVE_TOOLS_QKCTL_INPUT_LOAD_DATA_H_
#define QKSERVE_TOOLS_QKCTL_INPUT_LOAD_DATA_H_

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "qkserve/client.h"
#include "qkserve/tensor.h"
#include "tools/load/request_set.h"
#include "tools/load/verifier.h"
#include "tools/load/workload.h"
#include "tools/qkctl/input/made_key_set.h"
#include "tools/qkctl/input/tensor_file.h"

namespace qkserve {

// What --queries, --keys and --values name.
struct LoadFiles {
  std::optional<Tensor> queries;
  std::optional<TensorFile> keys, values;
};

// Opens them, and puts their sizes into the workload. INVALID_ARGUMENT: shapes or types that do not
// fit; or the errors of reading.
absl::StatusOr<LoadFiles> OpenLoadFiles(LoadWorkload* workload);

// The key sets of a load, on the server as long as this is there.
class LoadKeySets {
 public:
  // Those that the workload wants; nothing where keys are inline. For a key set that was there the
  // workload gets its sizes. `stop`: ends an upload.
  static absl::StatusOr<LoadKeySets> Prepare(Client* client, const LoadFiles& files,
                                             const std::atomic<bool>* stop, LoadWorkload* workload);

  const std::vector<KeySetReference>& references() const { return references_; }

  // Removes what was made. The first error.
  absl::Status Remove();

  // What is in those that were made, for --verify; none where it is not known.
  absl::StatusOr<std::vector<KnownKeySet>> ReadContents() const;

 private:
  std::vector<KeySetReference> references_;
  std::vector<KeySetContents> contents_;
  std::vector<std::unique_ptr<MadeKeySet>> made_;
};

// The requests of the load. `payloads_max`: different ones, fewer where memory would not do.
absl::StatusOr<RequestSet> BuildLoadRequests(const LoadWorkload& workload, const LoadFiles& files,
                                             const LoadKeySets& key_sets, int payloads_max);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_INPUT_LOAD_DATA_H_
