#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/key_sets/storage/segment.h"
#include "qkserve/limits.h"

namespace qkserve {
namespace {

// Rows may come one by one, and have few bytes.
constexpr int64_t kPendingBytesMax = kMiB / 4;

}  // namespace

SegmentWriter::SegmentWriter(FileSystem* files, std::string path, const KeySetLayout& layout,
                             int64_t rows)
    : files_(files), path_(std::move(path)), layout_(layout), rows_(rows) {}

SegmentWriter::~SegmentWriter() {
  file_ = nullptr;
  // Where this fails it is cleared away when the directory is next opened.
  if (!path_.empty()) files_->Remove(path_).IgnoreError();
}

absl::StatusOr<std::unique_ptr<SegmentWriter>> SegmentWriter::Create(FileSystem* files,
                                                                     std::string path,
                                                                     const KeySetLayout& layout,
                                                                     int64_t rows) {
  std::unique_ptr<SegmentWriter> writer(new SegmentWriter(files, std::move(path), layout, rows));
  std::vector<SafetensorsEntry> entries = {
      {.name = "keys", .type = layout.key_type, .shape = layout.KeyShape(rows)}};
  if (layout.dv.has_value()) {
    entries.push_back(
        {.name = "values", .type = layout.value_type, .shape = layout.ValueShape(rows)});
  }
  writer->header_ = MakeSafetensorsHeader(entries);
  const auto header_bytes = static_cast<int64_t>(writer->header_.size());
  for (const SafetensorsEntry& entry : entries) {
    Tensor& tensor = &entry == entries.data() ? writer->keys_ : writer->values_;
    tensor.offset = header_bytes + entry.offset;
    tensor.bytes = entry.bytes;
    tensor.row_bytes = entry.shape.back() * ElementBytes(*entry.type);
    absl::StatusOr<Buffer> pending =
        Buffer::Allocate(static_cast<size_t>(std::min(tensor.bytes, kPendingBytesMax)));
    if (!pending.ok()) return pending.status();
    tensor.pending = *std::move(pending);
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> file = files->Create(writer->path_);
  if (!file.ok()) return file.status();
  writer->file_ = *std::move(file);
  absl::Status status = writer->file_->WriteAt(
      0, reinterpret_cast<const std::byte*>(writer->header_.data()), header_bytes);
  if (!status.ok()) return status;
  return writer;
}

absl::Status SegmentWriter::WriteRows(Tensor& tensor, int64_t matrix, int64_t row, int64_t count,
                                      const std::byte* rows) {
  int64_t at = (matrix * rows_ + row) * tensor.row_bytes;
  int64_t bytes = count * tensor.row_bytes;
  tensor.written += bytes;
  while (bytes > 0) {
    if (at != tensor.pending_at + tensor.pending_bytes ||
        tensor.pending_bytes == static_cast<int64_t>(tensor.pending.size_bytes())) {
      absl::Status status = Flush(tensor);
      if (!status.ok()) return status;
      tensor.pending_at = at;
    }
    const int64_t piece =
        std::min(bytes, static_cast<int64_t>(tensor.pending.size_bytes()) - tensor.pending_bytes);
    std::memcpy(tensor.pending.data() + tensor.pending_bytes, rows, static_cast<size_t>(piece));
    tensor.pending_bytes += piece;
    at += piece;
    rows += piece;
    bytes -= piece;
  }
  return absl::OkStatus();
}

absl::Status SegmentWriter::Flush(Tensor& tensor) {
  const int64_t bytes = std::exchange(tensor.pending_bytes, 0);
  if (tensor.pending_at == tensor.checked) {
    tensor.checksum.Add(tensor.pending.data(), bytes);
    tensor.checked += bytes;
  }
  return file_->WriteAt(tensor.offset + tensor.pending_at, tensor.pending.data(), bytes);
}

absl::Status SegmentWriter::FinishChecksum(Tensor& tensor) {
  absl::Status status = Flush(tensor);
  if (!status.ok() || tensor.checked == tensor.bytes) return status;
  absl::StatusOr<std::unique_ptr<ReadableFile>> file = files_->Open(path_);
  if (!file.ok()) return file.status();
  while (tensor.checked < tensor.bytes) {
    const int64_t piece =
        std::min(tensor.bytes - tensor.checked, static_cast<int64_t>(tensor.pending.size_bytes()));
    status = (*file)->ReadAt(tensor.offset + tensor.checked, piece, tensor.pending.data());
    if (!status.ok()) return status;
    tensor.checksum.Add(tensor.pending.data(), piece);
    tensor.checked += piece;
  }
  return absl::OkStatus();
}

absl::StatusOr<SegmentInfo> SegmentWriter::Finish() {
  for (Tensor* const tensor : {&keys_, &values_}) {
    if (tensor->written != tensor->bytes) {
      return absl::InternalError(
          absl::StrCat(path_, ": ", tensor->written, " bytes of ", tensor->bytes, " were written"));
    }
    absl::Status status = FinishChecksum(*tensor);
    if (!status.ok()) return status;
  }
  absl::Status status = file_->Sync();
  if (status.ok()) status = file_->Close();
  if (!status.ok()) return status;
  return SegmentInfo{
      .file = "",
      .keys = rows_,
      .bytes = static_cast<int64_t>(header_.size()) + keys_.bytes + values_.bytes,
      .checksum = CombinedChecksum(ChecksumOf(header_), keys_.checksum, values_.checksum)};
}

absl::Status SegmentWriter::MoveTo(const std::string& path) {
  absl::Status status = files_->Rename(path_, path);
  if (status.ok()) path_.clear();
  return status;
}

}  // namespace qkserve
