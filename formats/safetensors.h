#ifndef QKSERVE_FORMATS_SAFETENSORS_H_
#define QKSERVE_FORMATS_SAFETENSORS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "qkserve/limits.h"
#include "qkserve/tensor.h"

namespace qkserve {

// The .safetensors format (https://github.com/huggingface/safetensors): 8 bytes, little-endian, the
// length of the header; the header, JSON, padded with spaces; the tensors' elements.
//
// Elements are read of those of its types that keys are kept in: F32, F16, BF16.

struct SafetensorsEntry {
  std::string name;
  std::optional<DataType> type = DataType::kFloat32;  // none: another one, named `dtype`
  absl::string_view dtype = {};                       // as the file says; a literal
  Shape shape;
  int64_t offset = 0;  // of its first byte, behind the header
  int64_t bytes = 0;
};

// A file may have hundreds of thousands: blocks of them, which never move, take the least memory.
using SafetensorsEntries = std::deque<SafetensorsEntry>;

// "I64, expected F32, F16 or BF16", of an entry without a type.
std::string OtherTypeText(const SafetensorsEntry& entry);

inline constexpr int64_t kSafetensorsLengthBytes = 8;

// Ours have some hundred bytes. Others may describe thousands of tensors; the format allows 100 MB.
// The kept part of a header takes less than three times its bytes.
inline constexpr int64_t kSafetensorsHeaderBytesMax = 16 * kMiB;

// Bytes of one text in a header, for example in `__metadata__`: the JSON parser keeps it whole.
inline constexpr int64_t kSafetensorsTextBytesMax = 2 * kMiB;

// Length and header of a file that has these tensors one after another; sets their `offset` and
// `bytes`. A multiple of 64 bytes, so that elements are aligned in memory where the file is.
std::string MakeSafetensorsHeader(std::vector<SafetensorsEntry>& entries);

// The header's length, of a file of `file_bytes` that begins with these 8 bytes. INVALID_ARGUMENT:
// it is longer than the file or than kSafetensorsHeaderBytesMax.
absl::StatusOr<int64_t> ParseSafetensorsLength(const std::byte* bytes, int64_t file_bytes);

struct SafetensorsHeader {
  int64_t data_offset = 0;     // where the elements begin in the file
  SafetensorsEntries entries;  // in order of their offsets

  // Null: there is no such tensor.
  const SafetensorsEntry* Find(absl::string_view name) const;
};

// The header of a file that `read` reads: `count` bytes from `offset` on, from the file's first
// byte to the last before its elements, once and in order. Errors: those of `read`, and
// INVALID_ARGUMENT, which does not name the file: what ParseSafetensorsLength and
// ParseSafetensorsJson refuse; the header does not begin with '{'; the tensors do not fill the file
// without gap and overlap.
absl::StatusOr<SafetensorsHeader> ReadSafetensorsHeader(
    int64_t file_bytes,
    const std::function<absl::Status(int64_t offset, int64_t count, char* to)>& read);

}  // namespace qkserve

#endif  // QKSERVE_FORMATS_SAFETENSORS_H_
