#include "core/key_sets/storage/segment_reader.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/invalid_argument.h"
#include "base/status_macros.h"
#include "core/key_sets/storage/segment_writer.h"
#include "qkserve/buffer.h"
#include "qkserve/limits.h"

namespace qkserve {
namespace {

// Returns the number of rows in one read: about 256 KiB, so that the rows are still in the L2 cache
// when they are checked and packed. The number is a multiple of a panel if a panel fits, and at
// least 1.
int64_t RowsPerRead(int64_t row_bytes) {
  const int64_t rows = std::max(256 * kKiB / row_bytes, int64_t{1});
  return rows < kPanelKeys ? rows : rows / kPanelKeys * kPanelKeys;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SegmentReader>> SegmentReader::Open(FileSystem* files,
                                                                   const std::string& path) {
  std::unique_ptr<SegmentReader> reader(new SegmentReader(path));
  ASSIGN_OR_RETURN(reader->file_, files->Open(path));
  Checksum checksum;
  const absl::StatusOr<SafetensorsHeader> header = ReadSafetensorsHeader(
      reader->file_->size(), [&](int64_t offset, int64_t count, char* to) -> absl::Status {
        auto* const bytes = reinterpret_cast<std::byte*>(to);
        RETURN_IF_ERROR(reader->file_->ReadAt(offset, count, bytes));
        checksum.Add(bytes, count);
        return absl::OkStatus();
      });
  if (absl::IsInvalidArgument(header.status())) return FormatError(path, header.status().message());
  if (!header.ok()) return header.status();
  reader->header_checksum_ = checksum.Value();
  absl::Status status = reader->Describe(*header);
  if (!status.ok()) return FormatError(path, status.message());
  return reader;
}

absl::Status SegmentReader::Describe(const SafetensorsHeader& header) {
  const SafetensorsEntry* const keys = header.FindOrOnly("keys");
  if (keys == nullptr) {
    return absl::InvalidArgumentError(
        "expected the tensors \"keys\" and, where there are values, \"values\", or one tensor");
  }
  PerColumn<const SafetensorsEntry*> found;  // null: the column is absent
  for (const Column& column : layout_.Columns()) {
    const bool is_keys = column.id == ColumnId::kKeys;
    const SafetensorsEntry* const entry = is_keys ? keys : header.Find(column.name);
    // The only tensor of a file is its keys, even if the tensor's name is `values`.
    if (!is_keys && entry == keys) continue;
    found[column.id] = entry;
    if (entry == nullptr || entry->type.has_value()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("the ", column.name, " are ", OtherTypeText(*entry)));
  }
  const Shape& shape = keys->shape;
  if (shape.size() < 2 || shape.size() > 4) {
    return absl::InvalidArgumentError(
        absl::StrCat("the keys have shape ", ShapeString(shape), ", expected 2 to 4 dimensions"));
  }
  rows_ = shape[shape.size() - 2];
  layout_.leading.assign(shape.begin(), shape.end() - 2);
  for (Column column : layout_.Columns()) {
    const SafetensorsEntry* const entry = found[column.id];
    if (entry == nullptr) continue;
    columns_[column.id].next = header.data_offset + entry->offset;
    column.width = entry->shape.empty() ? 0 : entry->shape.back();
    layout_.SetColumn(column.id, *entry->type, column.width);
    if (entry->shape != layout_.ShapeOf(column, rows_)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the ", column.name, " have shape ", ShapeString(entry->shape),
                       ", which does not fit the keys' ", ShapeString(shape)));
    }
  }
  return layout_.Validate(rows_);
}

absl::Status SegmentReader::ReadRows(const Column& column, int64_t rows, const ColumnSink& sink) {
  const int64_t row_bytes = column.RowBytes();
  if (rows == 0 || row_bytes == 0) return absl::OkStatus();
  const int64_t count_max = std::min(RowsPerRead(row_bytes), rows);
  ASSIGN_OR_RETURN(Buffer memory, Buffer::Allocate(static_cast<size_t>(count_max * row_bytes)));
  auto& [next, checksum] = columns_[column.id];
  for (int64_t row = 0; row < rows;) {
    const int64_t count = std::min(count_max, rows - row);
    RETURN_IF_ERROR(file_->ReadAt(next, count * row_bytes, memory.data()));
    checksum.Add(memory.data(), count * row_bytes);
    next += count * row_bytes;
    RETURN_IF_ERROR(sink(column, row, count, memory.data()));
    row += count;
  }
  return absl::OkStatus();
}

absl::Status SegmentReader::ReadAll(const ColumnSink& sink) {
  for (const Column& column : layout_.Columns()) {
    RETURN_IF_ERROR(ReadRows(column, layout_.Matrices() * rows_, sink));
  }
  return absl::OkStatus();
}

uint64_t SegmentReader::FileChecksum() const {
  PerColumn<uint64_t> columns;
  for (size_t i = 0; i < kColumnCount; ++i) columns.items[i] = columns_.items[i].checksum.Value();
  return SegmentChecksum(header_checksum_, columns);
}

absl::Status SegmentReader::CheckFileChecksum(uint64_t checksum) const {
  if (FileChecksum() == checksum) return absl::OkStatus();
  return absl::DataLossError(path_ + ": its checksum does not match");
}

}  // namespace qkserve
