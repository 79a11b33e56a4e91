#ifndef QKSERVE_TOOLS_QKCTL_COMMANDS_LOAD_INPUTS_H_
#define QKSERVE_TOOLS_QKCTL_COMMANDS_LOAD_INPUTS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "formats/tensor_file.h"
#include "qkserve/client.h"
#include "qkserve/tensor.h"
#include "tools/load/request_set.h"
#include "tools/load/verifier.h"
#include "tools/load/workload.h"
#include "tools/qkctl/commands/load_options.h"
#include "tools/qkctl/input/made_key_set.h"

namespace qkserve {

// The files of --queries, --keys and --values.
struct LoadFiles {
  std::optional<Tensor> queries;
  std::optional<TensorFile> keys, values;
};

// Opens them, and puts their sizes into the workload. INVALID_ARGUMENT: shapes or types that do not
// fit; or the errors of reading.
absl::StatusOr<LoadFiles> OpenLoadFiles(const LoadCommandOptions& command, LoadWorkload* workload);

// The key sets of a load. Those that were made are on the server as long as this object is there.
class LoadKeySets {
 public:
  // Makes those that the workload wants; none where keys are inline. The sizes of a key set that
  // was there go into the workload. `stop`: true ends an upload.
  static absl::StatusOr<LoadKeySets> Prepare(Client* client, const LoadCommandOptions& command,
                                             const LoadFiles& files, const std::atomic<bool>* stop,
                                             LoadWorkload* workload);

  const std::vector<KeySetReference>& references() const { return references_; }

  // Removes those that were made, and returns the first error.
  absl::Status Remove();

  // The contents of those that were made, for --verify, as a server that stores them in `storage`
  // has them. Empty where none was made.
  absl::StatusOr<std::vector<KnownKeySet>> ReadContents(std::optional<DataType> storage) const;

 private:
  std::vector<KeySetReference> references_;
  std::vector<KeySetContents> contents_;
  std::vector<std::unique_ptr<MadeKeySet>> made_;
};

// The requests of the load: at most `payloads_max` different ones, fewer where they are large.
absl::StatusOr<RequestSet> BuildLoadRequests(const LoadWorkload& workload, const LoadFiles& files,
                                             const LoadKeySets& key_sets, int payloads_max,
                                             int64_t seed);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMMANDS_LOAD_INPUTS_H_
