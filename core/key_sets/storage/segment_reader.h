#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_SEGMENT_READER_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_SEGMENT_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/key_sets/key_set_layout.h"
#include "core/key_sets/storage/checksum.h"
#include "core/key_sets/storage/file_system.h"
#include "formats/safetensors.h"

namespace qkserve {

// Reads a segment (see segment_writer.h), or such a file of another tool. Thread-compatible.
class SegmentReader {
 public:
  // `keys` may have any name where it is the only tensor; tensors of other names are ignored.
  // NOT_FOUND. INVALID_ARGUMENT: not such a file; says why.
  static absl::StatusOr<std::unique_ptr<SegmentReader>> Open(FileSystem* files,
                                                             const std::string& path);

  const KeySetLayout& layout() const { return layout_; }
  int64_t rows() const { return rows_; }
  int64_t bytes() const { return file_->size(); }

  // Reads the next bytes of a column. DATA_LOSS: they cannot be read.
  absl::Status Read(ColumnId id, int64_t bytes, std::byte* to);

  // The checksum of the file, once every column was read to its end: see SegmentChecksum.
  uint64_t FileChecksum() const;

 private:
  struct Progress {
    int64_t next = 0;  // offset in the file
    Checksum checksum;
  };

  SegmentReader() = default;
  absl::Status Describe(const SafetensorsHeader& header);

  std::unique_ptr<ReadableFile> file_;
  KeySetLayout layout_;
  int64_t rows_ = 0;
  uint64_t header_checksum_ = 0;
  PerColumn<Progress> columns_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_SEGMENT_READER_H_
