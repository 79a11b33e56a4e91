#include <utility>

#include "absl/strings/str_cat.h"
#include "core/key_sets/storage/segment.h"

namespace qkserve {
namespace {

absl::Status Bad(const std::string& path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

}  // namespace

uint64_t CombinedChecksum(uint64_t header, const Checksum& keys, const Checksum& values) {
  return ChecksumOf(
      absl::StrCat(ChecksumText(header), ChecksumText(keys.Value()), ChecksumText(values.Value())));
}

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
  if (absl::IsInvalidArgument(header.status())) return Bad(path, header.status().message());
  if (!header.ok()) return header.status();
  reader->header_checksum_ = checksum.Value();
  absl::Status status = reader->Describe(*header);
  if (!status.ok()) return Bad(path, status.message());
  return reader;
}

absl::Status SegmentReader::Describe(const SafetensorsHeader& header) {
  const SafetensorsEntry* keys = nullptr;
  const SafetensorsEntry* values = nullptr;
  for (const SafetensorsEntry& entry : header.entries) {
    if (entry.name == "keys" || header.entries.size() == 1) {
      keys = &entry;
    } else if (entry.name == "values") {
      values = &entry;
    }
  }
  if (keys == nullptr) {
    return absl::InvalidArgumentError(
        "expected the tensors \"keys\" and, where there are values, \"values\", or one tensor");
  }
  for (const SafetensorsEntry* const entry : {keys, values}) {
    if (entry == nullptr || entry->type.has_value()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("the ", entry == keys ? "keys" : "values", " are ", OtherTypeText(*entry)));
  }
  const Shape& shape = keys->shape;
  if (shape.size() < 2 || shape.size() > 4) {
    return absl::InvalidArgumentError(
        absl::StrCat("the keys have shape ", ShapeString(shape), ", expected 2 to 4 dimensions"));
  }
  rows_ = shape[shape.size() - 2];
  layout_ = {
      .leading = Shape(shape.begin(), shape.end() - 2), .d = shape.back(), .key_type = *keys->type};
  keys_.next = header.data_offset + keys->offset;
  if (values != nullptr) {
    layout_.dv = values->shape.empty() ? 0 : values->shape.back();
    layout_.value_type = *values->type;
    values_.next = header.data_offset + values->offset;
    if (values->shape != layout_.ValueShape(rows_)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the values have shape ", ShapeString(values->shape),
                       ", which does not fit the keys' ", ShapeString(shape)));
    }
  }
  return layout_.Validate(rows_);
}

absl::Status SegmentReader::Read(Tensor& tensor, int64_t bytes, std::byte* to) {
  absl::Status status = file_->ReadAt(tensor.next, bytes, to);
  if (!status.ok()) return status;
  tensor.checksum.Add(to, bytes);
  tensor.next += bytes;
  return absl::OkStatus();
}

uint64_t SegmentReader::FileChecksum() const {
  return CombinedChecksum(header_checksum_, keys_.checksum, values_.checksum);
}

}  // namespace qkserve
