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

// A segment is a .safetensors file with the tensors `keys` [.., rows, d] and, where the set has
// values, `values` [.., rows, dv]: each present column under its name.
//
// Its checksum combines those of the bytes before the tensors and of every column (of nothing where
// a column is absent), so that columns can be written and read side by side.
uint64_t SegmentChecksum(uint64_t header, const PerColumn<uint64_t>& columns);

// Writes a segment under a temporary name. Thread-compatible.
class SegmentWriter {
 public:
  // RESOURCE_EXHAUSTED: no space, no memory.
  static absl::StatusOr<std::unique_ptr<SegmentWriter>> Create(FileSystem* files, std::string path,
                                                               const KeySetLayout& layout,
                                                               int64_t rows);
  // Removes the file unless MoveTo gave it its name.
  ~SegmentWriter();

  // Writes `count` rows, of the column's type, from `row` on; the rows of all matrices follow one
  // another. Any order will do; the order of the file costs least, because rows that come out of
  // turn are read back for the checksum.
  absl::Status Write(ColumnId id, int64_t row, int64_t count, const std::byte* rows);

  // Makes the bytes durable, once every row was written exactly once. Describes the file, all but
  // its name.
  absl::StatusOr<SegmentInfo> Finish();

  // Gives the file its name, which is durable when the directory was synced. The file may have the
  // name even where this fails.
  absl::Status MoveTo(const std::string& path);

  const KeySetLayout& layout() const { return layout_; }
  int64_t rows() const { return rows_; }  // of each matrix

 private:
  // How far one column is written.
  struct Progress {
    int64_t offset = 0;  // of the tensor in the file
    int64_t bytes = 0;   // of the tensor
    int64_t row_bytes = 0;
    int64_t written = 0;        // bytes in all
    Buffer pending;             // gathers small writes before they go to the file
    int64_t pending_at = 0;     // place of `pending` in the tensor
    int64_t pending_bytes = 0;  // used of `pending`
    Checksum checksum;
    int64_t checked = 0;  // bytes from the beginning that `checksum` is of
  };

  SegmentWriter(FileSystem* files, std::string path, const KeySetLayout& layout, int64_t rows);
  // Writes the gathered bytes of a column to the file.
  absl::Status Flush(Progress& column);
  // Reads back the bytes that the checksum has not seen, and adds them to it.
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
