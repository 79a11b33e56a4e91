#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/key_sets/segment.h"
#include "core/limits.h"

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
  const int64_t size = reader->file_->size();
  if (size < kSafetensorsLengthBytes) return Bad(path, "is too short for a .safetensors file");
  std::string header(kSafetensorsLengthBytes, '\0');
  absl::Status status = reader->file_->ReadAt(0, kSafetensorsLengthBytes,
                                              reinterpret_cast<std::byte*>(header.data()));
  if (!status.ok()) return status;
  const absl::StatusOr<int64_t> length =
      ParseSafetensorsLength(reinterpret_cast<const std::byte*>(header.data()), size);
  if (!length.ok()) return Bad(path, length.status().message());
  const int64_t data_offset = kSafetensorsLengthBytes + *length;
  header.resize(static_cast<size_t>(data_offset));
  status =
      reader->file_->ReadAt(kSafetensorsLengthBytes, *length,
                            reinterpret_cast<std::byte*>(header.data() + kSafetensorsLengthBytes));
  if (!status.ok()) return status;
  reader->header_checksum_ = ChecksumOf(header);
  status = reader->Describe(absl::string_view(header).substr(kSafetensorsLengthBytes), data_offset);
  if (!status.ok()) return Bad(path, status.message());
  return reader;
}

absl::Status SegmentReader::Describe(absl::string_view header, int64_t data_offset) {
  const absl::StatusOr<std::vector<SafetensorsEntry>> entries =
      ParseSafetensorsHeader(header, file_->size() - data_offset);
  if (!entries.ok()) return entries.status();
  const SafetensorsEntry* keys = nullptr;
  const SafetensorsEntry* values = nullptr;
  for (const SafetensorsEntry& entry : *entries) {
    if (entry.name == "keys" || entries->size() == 1) {
      keys = &entry;
    } else if (entry.name == "values") {
      values = &entry;
    }
  }
  if (keys == nullptr || entries->size() != (values != nullptr ? 2U : 1U)) {
    return absl::InvalidArgumentError(
        "expected the tensors \"keys\" and, where there are values, \"values\", or one tensor");
  }
  const Shape& shape = keys->shape;
  if (shape.size() < 2 || shape.size() > 4) {
    return absl::InvalidArgumentError(
        absl::StrCat("the keys have shape ", ShapeString(shape), ", expected 2 to 4 dimensions"));
  }
  rows_ = shape[shape.size() - 2];
  layout_ = {
      .leading = Shape(shape.begin(), shape.end() - 2), .d = shape.back(), .key_type = keys->type};
  keys_.next = data_offset + keys->offset;
  if (values != nullptr) {
    layout_.dv = values->shape.empty() ? 0 : values->shape.back();
    layout_.value_type = values->type;
    values_.next = data_offset + values->offset;
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
