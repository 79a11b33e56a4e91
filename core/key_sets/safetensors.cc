#include "core/key_sets/safetensors.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace qkserve {
namespace {

using nlohmann::json;

constexpr std::pair<const char*, DataType> kTypes[] = {
    {"F32", DataType::kFloat32}, {"F16", DataType::kFloat16}, {"BF16", DataType::kBfloat16}};

constexpr size_t kRankMax = 8;

absl::Status Bad(absl::string_view tensor, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("tensor \"", absl::CHexEscape(tensor.substr(0, 64)), "\": ", what));
}

// An array of at most kRankMax integers of 0 or more.
std::optional<Shape> ToSizes(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array() || found->size() > kRankMax) return std::nullopt;
  Shape sizes;
  for (const json& size : *found) {
    if (!size.is_number_unsigned()) return std::nullopt;
    const auto value = size.get<uint64_t>();
    if (value > uint64_t{std::numeric_limits<int64_t>::max()}) return std::nullopt;
    sizes.push_back(static_cast<int64_t>(value));
  }
  return sizes;
}

absl::StatusOr<SafetensorsEntry> ToEntry(const std::string& name, const json& object) {
  if (!object.is_object()) return Bad(name, "expected an object");
  SafetensorsEntry entry;
  entry.name = name;

  const auto dtype = object.find("dtype");
  if (dtype == object.end() || !dtype->is_string()) return Bad(name, "its dtype is not a text");
  entry.dtype = dtype->get<std::string>();
  const auto* const type =
      std::find_if(std::begin(kTypes), std::end(kTypes),
                   [&](const auto& known) { return entry.dtype == known.first; });
  entry.type = type != std::end(kTypes) ? std::optional(type->second) : std::nullopt;

  std::optional<Shape> shape = ToSizes(object, "shape");
  if (!shape.has_value()) return Bad(name, "its shape is not up to 8 sizes");
  entry.shape = *std::move(shape);
  const std::optional<Shape> offsets = ToSizes(object, "data_offsets");
  if (!offsets.has_value() || offsets->size() != 2 || (*offsets)[0] > (*offsets)[1]) {
    return Bad(name, "its data_offsets are not a beginning and an end");
  }
  entry.offset = (*offsets)[0];
  entry.bytes = (*offsets)[1] - (*offsets)[0];

  if (!entry.type.has_value()) return entry;
  const std::optional<int64_t> elements = ElementCount(entry.shape);
  int64_t bytes = 0;
  if (!elements.has_value() ||
      __builtin_mul_overflow(*elements, ElementBytes(*entry.type), &bytes) ||
      bytes != entry.bytes) {
    return Bad(name, absl::StrCat("has ", entry.bytes, " bytes, which is not what its shape ",
                                  ShapeString(entry.shape), " needs"));
  }
  return entry;
}

}  // namespace

std::string OtherTypeText(const SafetensorsEntry& entry) {
  return absl::StrCat(absl::CHexEscape(entry.dtype.substr(0, 16)), ", expected F32, F16 or BF16");
}

std::string MakeSafetensorsHeader(std::vector<SafetensorsEntry>& entries) {
  constexpr size_t kAlignment = 64;
  json object = json::object();
  int64_t offset = 0;
  for (SafetensorsEntry& entry : entries) {
    entry.offset = offset;
    entry.bytes = *ElementCount(entry.shape) * ElementBytes(*entry.type);
    offset += entry.bytes;
    const auto* const type =
        std::find_if(std::begin(kTypes), std::end(kTypes),
                     [&](const auto& known) { return known.second == entry.type; });
    object[entry.name] = {
        {"dtype", type->first}, {"shape", entry.shape}, {"data_offsets", {entry.offset, offset}}};
  }
  std::string header = object.dump();
  const size_t used = (kSafetensorsLengthBytes + header.size()) % kAlignment;
  header.append((kAlignment - used) % kAlignment, ' ');
  std::string length(kSafetensorsLengthBytes, '\0');
  for (size_t i = 0; i < length.size(); ++i) {
    length[i] = static_cast<char>(header.size() >> (8 * i));
  }
  return length + header;
}

absl::StatusOr<int64_t> ParseSafetensorsLength(const std::byte* bytes, int64_t file_bytes) {
  uint64_t length = 0;
  for (int i = 0; i < kSafetensorsLengthBytes; ++i) {
    length |= std::to_integer<uint64_t>(bytes[i]) << (8 * i);
  }
  if (length > uint64_t{kSafetensorsHeaderBytesMax} ||
      static_cast<int64_t>(length) > file_bytes - kSafetensorsLengthBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("says that its header has ", length, " bytes, of ", file_bytes,
                     " bytes in all; at most ", kSafetensorsHeaderBytesMax, " are read"));
  }
  return static_cast<int64_t>(length);
}

absl::StatusOr<std::vector<SafetensorsEntry>> ParseSafetensorsHeader(absl::string_view header,
                                                                     int64_t data_bytes) {
  const json object =
      json::parse(header.begin(), header.end(), nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return absl::InvalidArgumentError("its header is not a JSON object");
  std::vector<SafetensorsEntry> entries;
  for (const auto& [name, value] : object.items()) {
    if (name == "__metadata__") continue;  // free text about the file
    absl::StatusOr<SafetensorsEntry> entry = ToEntry(name, value);
    if (!entry.ok()) return entry.status();
    entries.push_back(*std::move(entry));
  }
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::pair(a.offset, a.bytes) < std::pair(b.offset, b.bytes);
  });
  int64_t end = 0;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.offset != end) return Bad(entry.name, "does not begin where the one before it ends");
    end = entry.offset + entry.bytes;
  }
  if (end != data_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("its tensors have ", end, " bytes, there are ",
                                                   data_bytes, " behind its header"));
  }
  return entries;
}

absl::StatusOr<SafetensorsHeader> ReadSafetensorsHeader(
    int64_t file_bytes,
    const std::function<absl::Status(int64_t offset, int64_t count, char* to)>& read) {
  if (file_bytes < kSafetensorsLengthBytes) {
    return absl::InvalidArgumentError("is too short for a .safetensors file");
  }
  SafetensorsHeader header;
  header.bytes.resize(kSafetensorsLengthBytes);
  absl::Status status = read(0, kSafetensorsLengthBytes, header.bytes.data());
  if (!status.ok()) return status;
  const absl::StatusOr<int64_t> length =
      ParseSafetensorsLength(reinterpret_cast<const std::byte*>(header.bytes.data()), file_bytes);
  if (!length.ok()) return length.status();
  const int64_t data_offset = kSafetensorsLengthBytes + *length;
  header.bytes.resize(static_cast<size_t>(data_offset));
  status = read(kSafetensorsLengthBytes, *length, header.bytes.data() + kSafetensorsLengthBytes);
  if (!status.ok()) return status;
  absl::StatusOr<std::vector<SafetensorsEntry>> entries = ParseSafetensorsHeader(
      absl::string_view(header.bytes).substr(kSafetensorsLengthBytes), file_bytes - data_offset);
  if (!entries.ok()) return entries.status();
  header.entries = *std::move(entries);
  return header;
}

}  // namespace qkserve
