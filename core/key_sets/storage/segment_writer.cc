#include "core/key_sets/storage/segment_writer.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "formats/safetensors.h"
#include "qkserve/limits.h"

namespace qkserve {
namespace {

// Bytes that are gathered before a write: rows may come one by one, and be short.
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
  // A file that cannot be removed goes when the directory is next opened.
  if (!path_.empty()) files_->Remove(path_).IgnoreError();
}

absl::StatusOr<std::unique_ptr<SegmentWriter>> SegmentWriter::Create(FileSystem* files,
                                                                     std::string path,
                                                                     const KeySetLayout& layout,
                                                                     int64_t rows) {
  std::unique_ptr<SegmentWriter> writer(new SegmentWriter(files, std::move(path), layout, rows));
  std::vector<SafetensorsEntry> entries;
  std::vector<ColumnId> ids;
  for (const Column& column : layout.Columns()) {
    if (!column.is_present) continue;
    entries.push_back(
        {.name = column.name, .type = column.type, .shape = layout.ShapeOf(column, rows)});
    ids.push_back(column.id);
  }
  writer->header_ = MakeSafetensorsHeader(entries);
  const auto header_bytes = static_cast<int64_t>(writer->header_.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    Progress& column = writer->columns_[ids[i]];
    column.offset = header_bytes + entries[i].offset;
    column.bytes = entries[i].bytes;
    column.row_bytes = layout.Columns()[ids[i]].RowBytes();
    absl::StatusOr<Buffer> pending =
        Buffer::Allocate(static_cast<size_t>(std::min(column.bytes, kPendingBytesMax)));
    if (!pending.ok()) return pending.status();
    column.pending = *std::move(pending);
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> file = files->Create(writer->path_);
  if (!file.ok()) return file.status();
  writer->file_ = *std::move(file);
  absl::Status status = writer->file_->WriteAt(
      0, reinterpret_cast<const std::byte*>(writer->header_.data()), header_bytes);
  if (!status.ok()) return status;
  return writer;
}

absl::Status SegmentWriter::Write(ColumnId id, int64_t matrix, int64_t row, int64_t count,
                                  const std::byte* rows) {
  Progress& column = columns_[id];
  int64_t at = (matrix * rows_ + row) * column.row_bytes;
  int64_t bytes = count * column.row_bytes;
  column.written += bytes;
  while (bytes > 0) {
    if (at != column.pending_at + column.pending_bytes ||
        column.pending_bytes == static_cast<int64_t>(column.pending.size_bytes())) {
      absl::Status status = Flush(column);
      if (!status.ok()) return status;
      column.pending_at = at;
    }
    const int64_t piece =
        std::min(bytes, static_cast<int64_t>(column.pending.size_bytes()) - column.pending_bytes);
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
  absl::Status status = Flush(column);
  if (!status.ok() || column.checked == column.bytes) return status;
  absl::StatusOr<std::unique_ptr<ReadableFile>> file = files_->Open(path_);
  if (!file.ok()) return file.status();
  while (column.checked < column.bytes) {
    const int64_t piece =
        std::min(column.bytes - column.checked, static_cast<int64_t>(column.pending.size_bytes()));
    status = (*file)->ReadAt(column.offset + column.checked, piece, column.pending.data());
    if (!status.ok()) return status;
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
    absl::Status status = FinishChecksum(column);
    if (!status.ok()) return status;
    bytes += column.bytes;
    checksums.items[i] = column.checksum.Value();
  }
  absl::Status status = file_->Sync();
  if (status.ok()) status = file_->Close();
  if (!status.ok()) return status;
  return SegmentInfo{.file = "",
                     .keys = rows_,
                     .bytes = bytes,
                     .checksum = SegmentChecksum(ChecksumOf(header_), checksums)};
}

absl::Status SegmentWriter::MoveTo(const std::string& path) {
  absl::Status status = files_->Rename(path_, path);
  if (status.ok()) path_.clear();
  return status;
}

}  // namespace qkserve
