#ifndef QKSERVE_FORMATS_SAFETENSORS_H_
#define QKSERVE_FORMATS_SAFETENSORS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "qkserve/limits.h"
#include "qkserve/tensor.h"

namespace qkserve {

// The .safetensors format (https://github.com/huggingface/safetensors). First comes the length of
// the header: 8 bytes, little-endian. Then comes the header, in JSON, padded with spaces. Then come
// the tensors' elements.
//
// Tensors of the types F32, F16 and BF16 are read. Other tensors are only listed.

struct SafetensorsEntry {
  std::string name;
  // nullopt if tensors of this type are not read. `dtype` then names the type.
  std::optional<DataType> type = DataType::kFloat32;
  absl::string_view dtype = {};  // the format's name of the type; a literal
  Shape shape;
  int64_t offset = 0;  // where the first byte is, counted from the end of the header
  int64_t bytes = 0;
};

// A file may have hundreds of thousands of tensors. A deque takes the least memory, because it
// never moves its entries.
using SafetensorsEntries = std::deque<SafetensorsEntry>;

// Returns a text such as "I64, expected F32, F16 or BF16" for an entry without a type.
std::string OtherTypeText(const SafetensorsEntry& entry);

// Returns the beginning of a tensor's name, escaped for a terminal.
std::string ShownName(absl::string_view name);

inline constexpr int64_t kSafetensorsLengthBytes = 8;

// The longest header that is read. The server's own headers have some hundred bytes. Headers of
// other programs may describe thousands of tensors, and the format allows 100 MB. The parsed
// entries take less than three times the header's bytes.
inline constexpr int64_t kSafetensorsHeaderBytesMax = 16 * kMiB;

// The longest text in a header, for example in `__metadata__`. The JSON parser keeps each text
// whole.
inline constexpr int64_t kSafetensorsTextBytesMax = 2 * kMiB;

// Makes the length and the header of a file that has these tensors one after another. Sets their
// `offset` and `bytes`. The header is padded and ends at a multiple of 64 bytes, so that elements
// are aligned in a mapped file.
std::string MakeSafetensorsHeader(std::vector<SafetensorsEntry>& entries);

// Reads the length of the header from the first 8 bytes of a file of `file_bytes`.
// INVALID_ARGUMENT: the header is longer than the file or than kSafetensorsHeaderBytesMax.
absl::StatusOr<int64_t> ParseSafetensorsLength(const std::byte* bytes, int64_t file_bytes);

// Reads the JSON text of a header to its end. Returns its tensors in the order of their names. Each
// tensor is checked alone; how the tensors fill the file is not checked. Only the returned entries
// are kept in memory.
//
// INVALID_ARGUMENT: the text is not such a header. Like the format's reference implementation, the
// function refuses an unknown element type, a repeated field of a tensor, and a value in
// `__metadata__` that is not a text. As the format demands, it also refuses a repeated tensor and a
// repeated field of `__metadata__`.
absl::StatusOr<SafetensorsEntries> ParseSafetensorsJson(std::istream& text);

// Returns the format's name of a type, for example F32.
const char* SafetensorsDtype(DataType type);

struct SafetensorsHeader {
  int64_t data_offset = 0;     // where the elements begin in the file
  SafetensorsEntries entries;  // in order of their offsets

  // Returns the tensor `name`, or null.
  const SafetensorsEntry* Find(absl::string_view name) const;
  // Returns the tensor `name`. If there is none, returns the file's only tensor, or null if the
  // file has several.
  const SafetensorsEntry* FindOrOnly(absl::string_view name) const;
};

// Reads the header of a file through `read`, which reads `count` bytes from `offset` on. The bytes
// before the elements are read once, in order.
//
// Errors are those of `read`, or INVALID_ARGUMENT without the file's name: ParseSafetensorsLength
// or ParseSafetensorsJson refuses the header, the header does not begin with '{', or the tensors
// leave gaps, overlap, or do not end where the file ends.
absl::StatusOr<SafetensorsHeader> ReadSafetensorsHeader(
    int64_t file_bytes,
    const std::function<absl::Status(int64_t offset, int64_t count, char* to)>& read);

}  // namespace qkserve

#endif  // QKSERVE_FORMATS_SAFETENSORS_H_
