#include "core/key_sets/storage/segment_writer.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "formats/safetensors.h"
#include "qkserve/limits.h"

namespace qkserve {
namespace {

// The most bytes that are gathered before a write. Rows may come one by one and be short.
constexpr int64_t kPendingBytesMax = 256 * kKiB;

}  // namespace

uint64_t SegmentChecksum(uint64_t header, const PerColumn<uint64_t>& columns) {
  std::string text = ChecksumText(header);
  for (const uint64_t column : columns) text += ChecksumText(column);
  return ChecksumOf(text);
}

SegmentWriter::SegmentWriter(FileSystem* files, std::string path, const KeySetLayout& layout,
                             int64_t rows)
    : files_(files), path_(std::move(path)), layout_(layout), rows_(rows) {}

SegmentWriter::~SegmentWriter() {
  file_ = nullptr;
  // A file that cannot be removed now is removed when a writer next opens the directory.
  if (!path_.empty()) files_->Remove(path_).IgnoreError();
}

absl::StatusOr<std::unique_ptr<SegmentWriter>> SegmentWriter::Create(FileSystem* files,
                                                                     std::string path,
                                                                     const KeySetLayout& layout,
                                                                     int64_t rows) {
  std::unique_ptr<SegmentWriter> writer(new SegmentWriter(files, std::move(path), layout, rows));
  std::vector<SafetensorsEntry> entries;
  std::vector<Column> columns;
  for (const Column& column : layout.Columns()) {
    if (!column.is_present) continue;
    entries.push_back(
        {.name = column.name, .type = column.type, .shape = layout.ShapeOf(column, rows)});
    columns.push_back(column);
  }
  writer->header_ = MakeSafetensorsHeader(entries);
  const auto header_bytes = static_cast<int64_t>(writer->header_.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    Progress& column = writer->columns_[columns[i].id];
    column.offset = header_bytes + entries[i].offset;
    column.bytes = entries[i].bytes;
    column.row_bytes = columns[i].RowBytes();
    const int64_t pending_bytes = std::min(column.bytes, kPendingBytesMax);
    ASSIGN_OR_RETURN(column.pending, Buffer::Allocate(static_cast<size_t>(pending_bytes)));
  }
  ASSIGN_OR_RETURN(writer->file_, files->Create(writer->path_));
  RETURN_IF_ERROR(writer->file_->WriteAt(
      0, reinterpret_cast<const std::byte*>(writer->header_.data()), header_bytes));
  return writer;
}

absl::Status SegmentWriter::Write(ColumnId id, int64_t row, int64_t count, const std::byte* rows) {
  Progress& column = columns_[id];
  const auto pending_max = static_cast<int64_t>(column.pending.size_bytes());
  int64_t at = row * column.row_bytes;
  int64_t bytes = count * column.row_bytes;
  column.written += bytes;
  while (bytes > 0) {
    if (at != column.pending_at + column.pending_bytes || column.pending_bytes == pending_max) {
      RETURN_IF_ERROR(Flush(column));
      column.pending_at = at;
    }
    const int64_t piece = std::min(bytes, pending_max - column.pending_bytes);
    std::memcpy(column.pending.data() + column.pending_bytes, rows, static_cast<size_t>(piece));
    column.pending_bytes += piece;
    at += piece;
    rows += piece;
    bytes -= piece;
  }
  return absl::OkStatus();
}

absl::Status SegmentWriter::Flush(Progress& column) {
  const int64_t bytes = std::exchange(column.pending_bytes, 0);
  if (column.pending_at == column.checked) {
    column.checksum.Add(column.pending.data(), bytes);
    column.checked += bytes;
  }
  return file_->WriteAt(column.offset + column.pending_at, column.pending.data(), bytes);
}

absl::Status SegmentWriter::FinishChecksum(Progress& column) {
  RETURN_IF_ERROR(Flush(column));
  if (column.checked == column.bytes) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file, files_->Open(path_));
  while (column.checked < column.bytes) {
    const int64_t piece =
        std::min(column.bytes - column.checked, static_cast<int64_t>(column.pending.size_bytes()));
    RETURN_IF_ERROR(file->ReadAt(column.offset + column.checked, piece, column.pending.data()));
    column.checksum.Add(column.pending.data(), piece);
    column.checked += piece;
  }
  return absl::OkStatus();
}

absl::StatusOr<SegmentInfo> SegmentWriter::Finish() {
  auto bytes = static_cast<int64_t>(header_.size());
  PerColumn<uint64_t> checksums;
  for (size_t i = 0; i < kColumnCount; ++i) {
    Progress& column = columns_.items[i];
    if (column.written != column.bytes) {
      return absl::InternalError(
          absl::StrCat(path_, ": ", column.written, " bytes of ", column.bytes, " were written"));
    }
    RETURN_IF_ERROR(FinishChecksum(column));
    bytes += column.bytes;
    checksums.items[i] = column.checksum.Value();
  }
  RETURN_IF_ERROR(file_->Sync());
  RETURN_IF_ERROR(file_->Close());
  return SegmentInfo{.file = "",
                     .keys = rows_,
                     .bytes = bytes,
                     .checksum = SegmentChecksum(ChecksumOf(header_), checksums)};
}

absl::Status SegmentWriter::MoveTo(const std::string& path) {
  RETURN_IF_ERROR(files_->Rename(path_, path));
  path_.clear();
  return absl::OkStatus();
}

}  // namespace qkserve
