#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_SEGMENT_READER_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_SEGMENT_READER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/key_sets/key_set_layout.h"
#include "core/key_sets/storage/checksum.h"
#include "core/key_sets/storage/file_system.h"
#include "formats/safetensors.h"

namespace qkserve {

// Takes rows `row` to `row + count - 1` of a column. The rows need not be aligned.
using ColumnSink = std::function<absl::Status(const Column& column, int64_t row, int64_t count,
                                              const std::byte* rows)>;

// Reads a segment (see segment_writer.h), or a file of this form that another tool wrote.
// Thread-compatible.
class SegmentReader {
 public:
  // Opens a file. The keys may have any name if they are the only tensor. Tensors of other names
  // are ignored. NOT_FOUND: there is no file. INVALID_ARGUMENT: the file has another form; the
  // message says why.
  static absl::StatusOr<std::unique_ptr<SegmentReader>> Open(FileSystem* files,
                                                             const std::string& path);

  const KeySetLayout& layout() const { return layout_; }
  int64_t rows() const { return rows_; }  // rows of each matrix
  int64_t bytes() const { return file_->size(); }

  // Reads the next `rows` rows of a column, about 256 KiB at a time. The sink counts these rows
  // from 0. DATA_LOSS: the rows cannot be read. RESOURCE_EXHAUSTED: no memory. Other errors are the
  // sink's.
  absl::Status ReadRows(const Column& column, int64_t rows, const ColumnSink& sink);
  // Reads all rows of a new reader, one column after another. The sink counts rows over all
  // matrices.
  absl::Status ReadAll(const ColumnSink& sink);

  // Returns the checksum of the file (SegmentChecksum). Call it after every column was read to its
  // end.
  uint64_t FileChecksum() const;
  // Returns DATA_LOSS if the file's checksum is not `checksum`.
  absl::Status CheckFileChecksum(uint64_t checksum) const;

 private:
  struct Progress {
    int64_t next = 0;  // offset of the next row in the file
    Checksum checksum;
  };

  explicit SegmentReader(std::string path) : path_(std::move(path)) {}
  // Sets the layout, rows and places of the columns. INVALID_ARGUMENT: the tensors are no key set.
  absl::Status Describe(const SafetensorsHeader& header);

  const std::string path_;
  std::unique_ptr<ReadableFile> file_;
  KeySetLayout layout_;
  int64_t rows_ = 0;
  uint64_t header_checksum_ = 0;
  PerColumn<Progress> columns_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_SEGMENT_READER_H_
