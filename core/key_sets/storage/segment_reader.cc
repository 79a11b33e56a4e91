#include "core/key_sets/storage/segment_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/format_error.h"
#include "core/key_sets/storage/segment_writer.h"

namespace qkserve {

absl::StatusOr<std::unique_ptr<SegmentReader>> SegmentReader::Open(FileSystem* files,
                                                                   const std::string& path) {
  absl::StatusOr<std::unique_ptr<ReadableFile>> file = files->Open(path);
  if (!file.ok()) return file.status();
  std::unique_ptr<SegmentReader> reader(new SegmentReader);
  reader->file_ = *std::move(file);
  Checksum checksum;
  const absl::StatusOr<SafetensorsHeader> header =
      ReadSafetensorsHeader(reader->file_->size(), [&](int64_t offset, int64_t count, char* to) {
        auto* const bytes = reinterpret_cast<std::byte*>(to);
        absl::Status status = reader->file_->ReadAt(offset, count, bytes);
        if (status.ok()) checksum.Add(bytes, count);
        return status;
      });
  if (absl::IsInvalidArgument(header.status())) return FormatError(path, header.status().message());
  if (!header.ok()) return header.status();
  reader->header_checksum_ = checksum.Value();
  absl::Status status = reader->Describe(*header);
  if (!status.ok()) return FormatError(path, status.message());
  return reader;
}

absl::Status SegmentReader::Describe(const SafetensorsHeader& header) {
  PerColumn<const SafetensorsEntry*> found;
  const SafetensorsEntry* const keys = header.FindOrOnly("keys");
  for (const Column& column : layout_.Columns()) {
    const SafetensorsEntry* const entry = header.Find(column.name);
    // The only tensor is the keys, even if it is named `values`.
    found[column.id] = column.id == ColumnId::kKeys ? keys : entry == keys ? nullptr : entry;
  }
  if (keys == nullptr) {
    return absl::InvalidArgumentError(
        "expected the tensors \"keys\" and, where there are values, \"values\", or one tensor");
  }
  for (const Column& column : layout_.Columns()) {
    const SafetensorsEntry* const entry = found[column.id];
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

absl::Status SegmentReader::Read(ColumnId id, int64_t bytes, std::byte* to) {
  Progress& column = columns_[id];
  absl::Status status = file_->ReadAt(column.next, bytes, to);
  if (!status.ok()) return status;
  column.checksum.Add(to, bytes);
  column.next += bytes;
  return absl::OkStatus();
}

uint64_t SegmentReader::FileChecksum() const {
  PerColumn<uint64_t> columns;
  for (size_t i = 0; i < kColumnCount; ++i) columns.items[i] = columns_.items[i].checksum.Value();
  return SegmentChecksum(header_checksum_, columns);
}

}  // namespace qkserve
