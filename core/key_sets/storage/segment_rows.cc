#include "core/key_sets/storage/segment_rows.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "qkserve/buffer.h"
#include "qkserve/limits.h"

namespace qkserve {
namespace {

// Rows of one read: about 256 KiB, so that they are still in the L2 cache when they are checked and
// packed; whole panels where they fit, and at least one row.
int64_t RowsPerRead(int64_t row_bytes) {
  const int64_t rows = std::max(256 * kKiB / row_bytes, int64_t{1});
  return rows < kPanelKeys ? rows : rows / kPanelKeys * kPanelKeys;
}

absl::StatusOr<Buffer> MemoryFor(int64_t rows_max, int64_t row_bytes) {
  return Buffer::Allocate(
      static_cast<size_t>(std::min(rows_max, RowsPerRead(row_bytes)) * row_bytes));
}

// Reads all rows of one column, over all matrices. One read may span many small matrices.
absl::Status ReadColumn(SegmentReader& reader, const Column& column, const ColumnSink& sink) {
  const int64_t rows = reader.rows();
  const int64_t row_bytes = column.RowBytes();
  const int64_t end = reader.layout().Matrices() * rows;
  if (end == 0 || row_bytes == 0) return absl::OkStatus();
  absl::StatusOr<Buffer> memory = MemoryFor(end, row_bytes);
  if (!memory.ok()) return memory.status();
  for (int64_t first = 0; first < end;) {
    const int64_t count = std::min(RowsPerRead(row_bytes), end - first);
    absl::Status status = reader.Read(column.id, count * row_bytes, memory->data());
    if (!status.ok()) return status;
    for (int64_t done = 0; done < count;) {
      const int64_t row = (first + done) % rows;
      const int64_t piece = std::min(rows - row, count - done);
      status = sink(column, (first + done) / rows, row, piece, memory->data() + done * row_bytes);
      if (!status.ok()) return status;
      done += piece;
    }
    first += count;
  }
  return absl::OkStatus();
}

absl::Status CopyColumn(absl::Span<const std::unique_ptr<SegmentReader>> readers,
                        const Column& column, SegmentWriter& writer) {
  const int64_t row_bytes = column.RowBytes();
  if (writer.rows() == 0 || row_bytes == 0) return absl::OkStatus();
  absl::StatusOr<Buffer> memory = MemoryFor(writer.rows(), row_bytes);
  if (!memory.ok()) return memory.status();
  for (int64_t matrix = 0; matrix < writer.layout().Matrices(); ++matrix) {
    int64_t to = 0;
    for (const std::unique_ptr<SegmentReader>& reader : readers) {
      for (int64_t left = reader->rows(); left > 0;) {
        const int64_t count = std::min(RowsPerRead(row_bytes), left);
        absl::Status status = reader->Read(column.id, count * row_bytes, memory->data());
        if (status.ok()) status = writer.Write(column.id, matrix, to, count, memory->data());
        if (!status.ok()) return status;
        to += count;
        left -= count;
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadRows(SegmentReader& reader, const ColumnSink& sink) {
  for (const Column& column : reader.layout().Columns()) {
    absl::Status status = ReadColumn(reader, column, sink);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status CopyRows(absl::Span<const std::unique_ptr<SegmentReader>> readers,
                      SegmentWriter& writer) {
  for (const Column& column : writer.layout().Columns()) {
    absl::Status status = CopyColumn(readers, column, writer);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace qkserve
