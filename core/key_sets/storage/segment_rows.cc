#include <algorithm>
#include <utility>
#include <vector>

#include "core/key_sets/storage/segment.h"
#include "qkserve/limits.h"

namespace qkserve {
namespace {

// Rows that are read at a time: about 256 KiB, which is still in the L2 cache when it is checked
// and packed, whole panels where they fit, and one row at least.
int64_t RowsPerRead(int64_t row_bytes) {
  const int64_t rows = std::max(256 * kKiB / row_bytes, int64_t{1});
  return rows < kPanelKeys ? rows : rows / kPanelKeys * kPanelKeys;
}

absl::StatusOr<Buffer> MemoryFor(int64_t rows_max, int64_t row_bytes) {
  return Buffer::Allocate(
      static_cast<size_t>(std::min(rows_max, RowsPerRead(row_bytes)) * row_bytes));
}

using ReadFunction = absl::Status (SegmentReader::*)(int64_t bytes, std::byte* to);
using WriteFunction = absl::Status (SegmentWriter::*)(int64_t matrix, int64_t row, int64_t count,
                                                      const std::byte* rows);

// All rows of one tensor, over all matrices. A read may have rows of many small matrices.
absl::Status ReadTensor(SegmentReader& reader, ReadFunction read, int64_t row_bytes,
                        const RowSink& sink) {
  const int64_t rows = reader.rows();
  const int64_t end = reader.layout().Matrices() * rows;
  if (end == 0 || row_bytes == 0) return absl::OkStatus();
  absl::StatusOr<Buffer> memory = MemoryFor(end, row_bytes);
  if (!memory.ok()) return memory.status();
  for (int64_t first = 0; first < end;) {
    const int64_t count = std::min(RowsPerRead(row_bytes), end - first);
    absl::Status status = (reader.*read)(count * row_bytes, memory->data());
    if (!status.ok()) return status;
    for (int64_t done = 0; done < count;) {
      const int64_t row = (first + done) % rows;
      const int64_t piece = std::min(rows - row, count - done);
      status = sink((first + done) / rows, row, piece, memory->data() + done * row_bytes);
      if (!status.ok()) return status;
      done += piece;
    }
    first += count;
  }
  return absl::OkStatus();
}

absl::Status CopyTensor(absl::Span<const std::unique_ptr<SegmentReader>> readers,
                        SegmentWriter& writer, ReadFunction read, WriteFunction write,
                        int64_t row_bytes) {
  if (writer.rows() == 0 || row_bytes == 0) return absl::OkStatus();
  absl::StatusOr<Buffer> memory = MemoryFor(writer.rows(), row_bytes);
  if (!memory.ok()) return memory.status();
  for (int64_t matrix = 0; matrix < writer.layout().Matrices(); ++matrix) {
    int64_t to = 0;
    for (const std::unique_ptr<SegmentReader>& reader : readers) {
      for (int64_t left = reader->rows(); left > 0;) {
        const int64_t count = std::min(RowsPerRead(row_bytes), left);
        absl::Status status = (*reader.*read)(count * row_bytes, memory->data());
        if (status.ok()) status = (writer.*write)(matrix, to, count, memory->data());
        if (!status.ok()) return status;
        to += count;
        left -= count;
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadRows(SegmentReader& reader, const RowSink& keys, const RowSink& values) {
  absl::Status status =
      ReadTensor(reader, &SegmentReader::ReadKeys, reader.layout().KeyRowBytes(), keys);
  if (!status.ok()) return status;
  return ReadTensor(reader, &SegmentReader::ReadValues, reader.layout().ValueRowBytes(), values);
}

absl::Status CopyRows(absl::Span<const std::unique_ptr<SegmentReader>> readers,
                      SegmentWriter& writer) {
  absl::Status status = CopyTensor(readers, writer, &SegmentReader::ReadKeys,
                                   &SegmentWriter::WriteKeys, writer.layout().KeyRowBytes());
  if (!status.ok()) return status;
  return CopyTensor(readers, writer, &SegmentReader::ReadValues, &SegmentWriter::WriteValues,
                    writer.layout().ValueRowBytes());
}

}  // namespace qkserve
