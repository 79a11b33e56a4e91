#include <cstring>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/key_sets/storage/segment_reader.h"
#include "formats/safetensors.h"
#include "formats/tensor_file.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_file.h"
#include "tests/fuzz/tensor_file_checks.h"

namespace qkserve {
namespace {

void CheckSafetensorsHeader(absl::string_view input) {
  const auto read = [&](int64_t offset, int64_t count, char* to) {
    Require(offset >= 0 && count >= 0 && offset + count <= static_cast<int64_t>(input.size()),
            "a header is read within its file");
    std::memcpy(to, input.data() + offset, static_cast<size_t>(count));
    return absl::OkStatus();
  };
  const absl::StatusOr<SafetensorsHeader> header =
      ReadSafetensorsHeader(static_cast<int64_t>(input.size()), read);
  if (!header.ok()) return;
  int64_t end = 0;
  for (const SafetensorsEntry& entry : header->entries) {
    Require(entry.offset == end && entry.bytes >= 0, "tensors follow one another");
    end += entry.bytes;
    if (!entry.type.has_value()) continue;
    Require(ByteCount(entry.shape, ElementBytes(*entry.type)) == entry.bytes,
            "a tensor has the bytes of its shape");
  }
  Require(header->data_offset + end == static_cast<int64_t>(input.size()),
          "tensors fill their file");
}

void ReadSegment(const std::string& path) {
  const auto segment = SegmentReader::Open(FileSystem::Posix(), path);
  if (!segment.ok()) return;
  int64_t bytes = 0;
  const absl::Status status = (*segment)->ReadAll(
      [&](const Column& column, int64_t row, int64_t count, const std::byte* rows) {
        Require(row >= 0 && count >= 0, "rows are counted from 0");
        // Every byte is read, so that a sanitizer sees bytes outside the memory.
        for (int64_t i = 0; i < count * column.RowBytes(); ++i) bytes += rows[i] == std::byte{0};
        return absl::OkStatus();
      });
  Require(status.ok(), "a segment that is opened can be read");
  Require((*segment)->CheckFileChecksum((*segment)->FileChecksum()).ok(), "it has its checksum");
}

std::string File(std::vector<SafetensorsEntry> entries) {
  std::string file = MakeSafetensorsHeader(entries);
  for (const SafetensorsEntry& entry : entries) {
    for (int64_t i = 0; i < entry.bytes; ++i) file.push_back(static_cast<char>(i * 37));
  }
  return file;
}

}  // namespace

void FuzzSafetensors(absl::string_view input) {
  static const ScratchFile file("keys.safetensors");
  CheckSafetensorsHeader(input);
  file.Write(input);
  for (const char* const name : {"keys", "values"}) {
    const absl::StatusOr<TensorFile> tensor = OpenTensorFile(file.path(), name);
    if (tensor.ok()) CheckTensorFile(*tensor, input);
  }
  ReadSegment(file.path());
}

FuzzSeeds SafetensorsSeeds() {
  std::string described = R"({"__metadata__":{"format":"pt"},"w":{"dtype":"I64","shape":[1],)"
                          R"("data_offsets":[0,8]}})";
  described = std::string("\x60\0\0\0\0\0\0\0", 8) + described.append(96 - described.size(), ' ') +
              "12345678";
  return {
      {"keys", File({{.name = "keys", .shape = {3, 2}}})},
      {"keys-and-values",
       File({{.name = "keys", .type = DataType::kFloat16, .shape = {2, 5, 3}},
             {.name = "values", .type = DataType::kBfloat16, .shape = {2, 5, 1}}})},
      {"other-name", File({{.name = "embeddings", .shape = {1, 1}}, {.name = "x", .shape = {0}}})},
      {"other-type", described}};
}

}  // namespace qkserve
