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

// Opens the files and copies their sizes to the workload. INVALID_ARGUMENT: shapes or types do not
// fit. Other errors are those of reading.
absl::StatusOr<LoadFiles> OpenLoadFiles(const LoadCommandOptions& command, LoadWorkload* workload);

// The key sets of a load. Sets that were made for the load stay on the server as long as this
// object exists.
class LoadKeySets {
 public:
  // Makes the key sets of the workload. Inline keys need none. If the workload uses an existing
  // set, copies the sizes of the set to the workload. An upload ends once `stop` is true.
  static absl::StatusOr<LoadKeySets> Prepare(Client* client, const LoadCommandOptions& command,
                                             const LoadFiles& files, const std::atomic<bool>* stop,
                                             LoadWorkload* workload);

  const std::vector<KeySetReference>& references() const { return references_; }

  // Removes the sets that were made. Gives up after 5 s in which no set was removed. Returns the
  // first error. Its message names all sets that are left.
  absl::Status Remove();

  // Returns the contents of the sets that were made, for --verify. Elements are rounded to
  // `storage`, as the server stores them. Empty if no set was made.
  absl::StatusOr<std::vector<KnownKeySet>> ReadContents(std::optional<DataType> storage) const;

 private:
  std::vector<KeySetReference> references_;
  std::vector<KeySetContents> contents_;
  std::vector<std::unique_ptr<MadeKeySet>> made_;
};

// Makes the requests of the load from at most `payloads_max` different payloads. If payloads are
// large, there are fewer.
absl::StatusOr<RequestSet> BuildLoadRequests(const LoadWorkload& workload, const LoadFiles& files,
                                             const LoadKeySets& key_sets, int payloads_max,
                                             int64_t seed);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMMANDS_LOAD_INPUTS_H_
