#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_SEGMENT_WRITER_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_SEGMENT_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/key_sets/key_set_layout.h"
#include "core/key_sets/storage/checksum.h"
#include "core/key_sets/storage/file_system.h"
#include "core/key_sets/storage/manifest.h"
#include "qkserve/buffer.h"

namespace qkserve {

// A segment is a .safetensors file with the tensors `keys` [.., rows, d] and, if the set has
// values, `values` [.., rows, dv]. Each present column is a tensor with the column's name.
//
// Returns the checksum of a segment. It combines the checksum of the bytes before the tensors with
// the checksums of all columns, so that columns can be written and read side by side. An absent
// column has the checksum of no bytes.
uint64_t SegmentChecksum(uint64_t header, const PerColumn<uint64_t>& columns);

// Writes a segment under a temporary name. Thread-compatible.
class SegmentWriter {
 public:
  // Creates the file and writes its header. RESOURCE_EXHAUSTED: no space on the disk, or no memory.
  static absl::StatusOr<std::unique_ptr<SegmentWriter>> Create(FileSystem* files, std::string path,
                                                               const KeySetLayout& layout,
                                                               int64_t rows);
  // Removes the file unless MoveTo renamed it.
  ~SegmentWriter();

  // Writes rows `row` to `row + count - 1`, counted over all matrices, in the column's type. Rows
  // may come in any order. The order of the file costs least, because rows that come out of order
  // are read back for the checksum.
  absl::Status Write(ColumnId id, int64_t row, int64_t count, const std::byte* rows);

  // Makes the bytes durable. Call it after every row was written exactly once. Returns a
  // description of the file, without its name.
  absl::StatusOr<SegmentInfo> Finish();

  // Renames the file to `path`. The name is durable when the directory was synced. After an error
  // the file may have either name.
  absl::Status MoveTo(const std::string& path);

  const KeySetLayout& layout() const { return layout_; }
  int64_t rows() const { return rows_; }  // rows of each matrix

 private:
  // The progress of writing a column.
  struct Progress {
    int64_t offset = 0;  // place of the tensor in the file
    int64_t bytes = 0;   // bytes of the tensor
    int64_t row_bytes = 0;
    int64_t written = 0;        // bytes written so far
    Buffer pending;             // small writes, gathered for the file
    int64_t pending_at = 0;     // place of `pending` in the tensor
    int64_t pending_bytes = 0;  // bytes in `pending`
    Checksum checksum;
    int64_t checked = 0;  // bytes from the beginning that `checksum` covers
  };

  SegmentWriter(FileSystem* files, std::string path, const KeySetLayout& layout, int64_t rows);
  // Writes the gathered bytes of a column to the file.
  absl::Status Flush(Progress& column);
  // Reads back the bytes that the checksum does not cover, and adds them to it.
  absl::Status FinishChecksum(Progress& column);

  FileSystem* const files_;
  std::string path_;  // empty after MoveTo
  const KeySetLayout layout_;
  const int64_t rows_;
  std::unique_ptr<WritableFile> file_;
  std::string header_;
  PerColumn<Progress> columns_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_SEGMENT_WRITER_H_
