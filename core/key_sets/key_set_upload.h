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

// The announcement of an upload. The sizes have been checked, and the types are float types.
struct KeySetUploadSpec {
  std::string name;
  KeySetLayout layout;  // layout of the set
  PerColumn<DataType> received_types = {{DataType::kFloat32, DataType::kFloat32}};
  int64_t m = 0;                                           // keys of each matrix
  std::optional<int64_t> expected_version = std::nullopt;  // has a value only for an append
};

// A put or an append while its rows are received. Destroying it without Commit discards the rows.
//
// Thread-compatible. Must not outlive the store.
class KeySetUpload {
 public:
  // Adds the next bytes of a column. The bytes are row-major, in the announced type, and may be cut
  // anywhere. INVALID_ARGUMENT: there are more bytes than were announced, or a finite element is
  // too large for the layout's type. RESOURCE_EXHAUSTED: memory or disk is full.
  absl::Status Add(ColumnId id, absl::string_view bytes);

  // Returns the number of keys that the upload adds to each matrix.
  int64_t m() const { return spec_.m; }

  // Makes a new version from the rows and publishes it. If the store has a directory, the version
  // is durable. INVALID_ARGUMENT: bytes are missing. FAILED_PRECONDITION: the set is no longer at
  // the expected version.
  absl::StatusOr<std::shared_ptr<const KeySet>> Commit();

 private:
  friend class KeySetStore;

  KeySetUpload(KeySetStore* store, const KeySetUploadSpec& spec);
  absl::Status Allocate();
  absl::Status TakeRows(const Column& column, int64_t row, int64_t count, const std::byte* rows);
  // Packs the waiting rows.
  void PackWaiting();
  bool IsAppend() const { return spec_.expected_version.has_value(); }

  KeySetStore& store_;
  const KeySetUploadSpec spec_;
  PerColumn<std::optional<RowStream>> streams_;  // nullopt: the set lacks the column

  // The rows of a put are packed while they are received. The rows of an append wait, because their
  // panels are known only at Commit.
  std::unique_ptr<KeySetBuilder> builder_;
  ByteBudget::Charge waiting_charge_;
  PerColumn<Buffer> waiting_;
  std::unique_ptr<SegmentWriter> segment_;  // null: the store is in memory only
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_KEY_SET_UPLOAD_H_
