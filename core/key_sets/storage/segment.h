#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_SEGMENT_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_SEGMENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/key_sets/key_set.h"
#include "core/key_sets/row_stream.h"
#include "core/key_sets/storage/checksum.h"
#include "core/key_sets/storage/file_system.h"
#include "core/key_sets/storage/manifest.h"
#include "formats/safetensors.h"
#include "qkserve/buffer.h"

namespace qkserve {

// A segment: a .safetensors file with the tensors `keys` [.., rows, d] and, where the set has
// values, `values` [.., rows, dv].
//
// Its checksum is that of three: of what stands before the tensors, of `keys`, and of `values`
// (of nothing where there are none). So the tensors can be written and read side by side.

uint64_t CombinedChecksum(uint64_t header, const Checksum& keys, const Checksum& values);

// Writes one, under a name for the time being. Thread-compatible.
class SegmentWriter {
 public:
  // RESOURCE_EXHAUSTED: no space, no memory.
  static absl::StatusOr<std::unique_ptr<SegmentWriter>> Create(FileSystem* files, std::string path,
                                                               const KeySetLayout& layout,
                                                               int64_t rows);
  // Removes the file, but for after MoveTo.
  ~SegmentWriter();

  // `count` rows of one matrix, of the layout's type, from `row` on. In any order, but in that of
  // the file it costs least: what comes out of turn is read back for its checksum.
  absl::Status WriteKeys(int64_t matrix, int64_t row, int64_t count, const std::byte* rows) {
    return WriteRows(keys_, matrix, row, count, rows);
  }
  absl::Status WriteValues(int64_t matrix, int64_t row, int64_t count, const std::byte* rows) {
    return WriteRows(values_, matrix, row, count, rows);
  }

  // Every row was written, once: their bytes are durable. Describes the file, but for its name.
  absl::StatusOr<SegmentInfo> Finish();

  // Gives the file its name, which lasts when the directory is synced. It may have the name even
  // where this fails.
  absl::Status MoveTo(const std::string& path);

  const KeySetLayout& layout() const { return layout_; }
  int64_t rows() const { return rows_; }

 private:
  // What is written of one tensor.
  struct Tensor {
    int64_t offset = 0;  // in the file
    int64_t bytes = 0;
    int64_t row_bytes = 0;
    int64_t written = 0;     // bytes in all
    Buffer pending;          // the last of them, that are not yet in the file: small writes are
    int64_t pending_at = 0;  // gathered; from this place in the tensor on
    int64_t pending_bytes = 0;
    Checksum checksum;
    int64_t checked = 0;  // bytes from the beginning that `checksum` is of
  };

  SegmentWriter(FileSystem* files, std::string path, const KeySetLayout& layout, int64_t rows);
  absl::Status WriteRows(Tensor& tensor, int64_t matrix, int64_t row, int64_t count,
                         const std::byte* rows);
  absl::Status Flush(Tensor& tensor);
  absl::Status FinishChecksum(Tensor& tensor);

  FileSystem* const files_;
  std::string path_;
  const KeySetLayout layout_;
  const int64_t rows_;
  std::unique_ptr<WritableFile> file_;
  std::string header_;
  Tensor keys_, values_;
};

// Reads one. Thread-compatible.
class SegmentReader {
 public:
  // Also other tools' files: `keys` may have any name where it is the only tensor, and tensors with
  // other names are passed over. NOT_FOUND.
  // INVALID_ARGUMENT: not such a file; says why.
  static absl::StatusOr<std::unique_ptr<SegmentReader>> Open(FileSystem* files,
                                                             const std::string& path);

  const KeySetLayout& layout() const { return layout_; }
  int64_t rows() const { return rows_; }
  int64_t bytes() const { return file_->size(); }

  // The next bytes of a tensor. DATA_LOSS: it cannot be read.
  absl::Status ReadKeys(int64_t bytes, std::byte* to) { return Read(keys_, bytes, to); }
  absl::Status ReadValues(int64_t bytes, std::byte* to) { return Read(values_, bytes, to); }

  // Both tensors were read to their end.
  uint64_t FileChecksum() const;

 private:
  struct Tensor {
    int64_t next = 0;  // in the file
    Checksum checksum;
  };

  SegmentReader() = default;
  absl::Status Describe(const SafetensorsHeader& header);
  absl::Status Read(Tensor& tensor, int64_t bytes, std::byte* to);

  std::unique_ptr<ReadableFile> file_;
  KeySetLayout layout_;
  int64_t rows_ = 0;
  uint64_t header_checksum_ = 0;
  Tensor keys_, values_;
};

// Reads a segment to its end, about 256 KiB at a time. RESOURCE_EXHAUSTED: no memory for that.
absl::Status ReadRows(SegmentReader& reader, const RowSink& keys, const RowSink& values);

// The rows of segments of one layout, one segment after another in each matrix. Reads them all to
// their end. The writer is of as many rows.
absl::Status CopyRows(absl::Span<const std::unique_ptr<SegmentReader>> readers,
                      SegmentWriter& writer);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_SEGMENT_H_
