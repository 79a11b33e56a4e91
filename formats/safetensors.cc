#include "formats/safetensors.h"

#include <algorithm>
#include <streambuf>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/invalid_argument.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "formats/json_tokens.h"
#include "nlohmann/json.hpp"

namespace qkserve {
namespace {

using nlohmann::json;

// The bytes of a header, which are read piece by piece.
class HeaderText : public std::streambuf {
 public:
  using Read = std::function<absl::Status(int64_t offset, int64_t count, char* to)>;

  HeaderText(int64_t bytes, const Read& read) : left_(bytes), read_(read) {}

  // Returns the reason why the text ended early, or OK.
  const absl::Status& status() const { return status_; }

 protected:
  int_type underflow() override {
    const int64_t count = std::min(left_, static_cast<int64_t>(sizeof(piece_)));
    if (count == 0 || !status_.ok()) return traits_type::eof();
    const bool is_first = offset_ == kSafetensorsLengthBytes;
    status_ = read_(offset_, count, piece_);
    if (status_.ok() && is_first && piece_[0] != '{') {
      status_ = InvalidArgument("its header is not a JSON object: it does not begin with '{'");
    }
    if (status_.ok() && !tokens_.Accept({piece_, static_cast<size_t>(count)})) {
      status_ =
          InvalidArgument("its header is not a JSON object: it has a NUL, or a text of more than ",
                          kSafetensorsTextBytesMax, " bytes");
    }
    if (!status_.ok()) return traits_type::eof();
    offset_ += count;
    left_ -= count;
    setg(piece_, piece_, piece_ + count);
    return traits_type::to_int_type(piece_[0]);
  }

 private:
  int64_t offset_ = kSafetensorsLengthBytes;
  int64_t left_;
  const Read& read_;
  JsonTokens tokens_{kSafetensorsTextBytesMax};
  absl::Status status_;
  char piece_[16 * kKiB];
};

// Sorts the entries by offset. INVALID_ARGUMENT: the tensors leave gaps, overlap, or do not end at
// `data_bytes`.
absl::Status CheckOffsets(SafetensorsEntries& entries, int64_t data_bytes) {
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::pair(a.offset, a.bytes) < std::pair(b.offset, b.bytes);
  });
  int64_t end = 0;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.offset != end) {
      return InvalidArgument("tensor \"", ShownName(entry.name),
                             "\": does not begin where the one before it ends");
    }
    end = entry.offset + entry.bytes;
  }
  if (end == data_bytes) return absl::OkStatus();
  return InvalidArgument("its tensors have ", end, " bytes, there are ", data_bytes,
                         " behind its header");
}

}  // namespace

std::string OtherTypeText(const SafetensorsEntry& entry) {
  return absl::StrCat(entry.dtype, ", expected F32, F16 or BF16");
}

std::string ShownName(absl::string_view name) { return absl::CHexEscape(Utf8Prefix(name, 64)); }

const SafetensorsEntry* SafetensorsHeader::Find(absl::string_view name) const {
  const auto found =
      std::find_if(entries.begin(), entries.end(),
                   [&](const SafetensorsEntry& entry) { return entry.name == name; });
  return found == entries.end() ? nullptr : &*found;
}

const SafetensorsEntry* SafetensorsHeader::FindOrOnly(absl::string_view name) const {
  const SafetensorsEntry* const found = Find(name);
  return found == nullptr && entries.size() == 1 ? &entries.front() : found;
}

std::string MakeSafetensorsHeader(std::vector<SafetensorsEntry>& entries) {
  constexpr size_t kAlignment = 64;
  json object = json::object();
  int64_t offset = 0;
  for (SafetensorsEntry& entry : entries) {
    entry.offset = offset;
    entry.bytes = *ElementCount(entry.shape) * ElementBytes(*entry.type);
    offset += entry.bytes;
    object[entry.name] = {{"dtype", SafetensorsDtype(*entry.type)},
                          {"shape", entry.shape},
                          {"data_offsets", {entry.offset, offset}}};
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
    return InvalidArgument("says that its header has ", length, " bytes, of ", file_bytes,
                           " bytes in all; at most ", kSafetensorsHeaderBytesMax, " are read");
  }
  return static_cast<int64_t>(length);
}

absl::StatusOr<SafetensorsHeader> ReadSafetensorsHeader(
    int64_t file_bytes,
    const std::function<absl::Status(int64_t offset, int64_t count, char* to)>& read) {
  if (file_bytes < kSafetensorsLengthBytes) {
    return InvalidArgument("is too short for a .safetensors file");
  }
  std::byte length_bytes[kSafetensorsLengthBytes];
  RETURN_IF_ERROR(read(0, kSafetensorsLengthBytes, reinterpret_cast<char*>(&length_bytes[0])));
  ASSIGN_OR_RETURN(const int64_t length, ParseSafetensorsLength(length_bytes, file_bytes));

  HeaderText text(length, read);
  std::istream stream(&text);
  absl::StatusOr<SafetensorsEntries> entries = ParseSafetensorsJson(stream);
  if (!text.status().ok()) return text.status();
  if (!entries.ok()) return entries.status();
  SafetensorsHeader header = {.data_offset = kSafetensorsLengthBytes + length,
                              .entries = *std::move(entries)};
  RETURN_IF_ERROR(CheckOffsets(header.entries, file_bytes - header.data_offset));
  return header;
}

}  // namespace qkserve
