#ifndef QKSERVE_CORE_KEY_SETS_KEY_SET_UPLOAD_H_
#define QKSERVE_CORE_KEY_SETS_KEY_SET_UPLOAD_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/byte_budget.h"
#include "core/key_sets/key_set.h"
#include "core/key_sets/row_stream.h"
#include "core/key_sets/storage/key_set_directory.h"
#include "qkserve/buffer.h"

namespace qkserve {

class KeySetStore;

// What an upload brings. `leading`, `d`, `dv` and `m` are checked sizes; types are float types.
struct KeySetUploadSpec {
  std::string name;
  KeySetLayout layout;  // what the set is kept in
  DataType key_type = DataType::kFloat32, value_type = DataType::kFloat32;  // what comes
  int64_t m = 0;                                                            // keys of each matrix
  std::optional<int64_t> expected_version = std::nullopt;                   // given: an append
};

// A key set, or keys for one, on its way in. Gone without Commit it leaves no trace.
//
// Thread-compatible. Must not outlive the store.
class KeySetUpload {
 public:
  // The next bytes of the tensors, row-major, cut anywhere, in the types of the spec.
  // INVALID_ARGUMENT: more than was announced, or a finite element too large for the layout's type.
  // RESOURCE_EXHAUSTED: memory, disk.
  absl::Status AddKeys(absl::string_view bytes) { return keys_.Add(bytes); }
  absl::Status AddValues(absl::string_view bytes);

  // Keys of each matrix that it brings.
  int64_t m() const { return spec_.m; }

  // Makes it the newest version; durable where the store has a directory. INVALID_ARGUMENT: bytes
  // are missing. FAILED_PRECONDITION: the set has moved on from the version expected.
  absl::StatusOr<std::shared_ptr<const KeySet>> Commit();

 private:
  friend class KeySetStore;

  KeySetUpload(KeySetStore* store, const KeySetUploadSpec& spec);
  absl::Status Allocate();
  absl::Status TakeKeys(int64_t matrix, int64_t row, int64_t count, const std::byte* rows);
  absl::Status TakeValues(int64_t matrix, int64_t row, int64_t count, const std::byte* rows);
  // Puts the waiting rows into the builder.
  void PackWaiting();
  bool IsAppend() const { return spec_.expected_version.has_value(); }

  KeySetStore& store_;
  const KeySetUploadSpec spec_;
  RowStream keys_;
  std::optional<RowStream> values_;

  // A new set is packed as it comes. Keys of an append wait as rows: which panel they go to is
  // known when they are all there.
  std::unique_ptr<KeySetBuilder> builder_;
  ByteBudget::Charge waiting_charge_;
  Buffer waiting_keys_, waiting_values_;
  std::unique_ptr<SegmentWriter> segment_;  // null: memory only
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_KEY_SET_UPLOAD_H_
