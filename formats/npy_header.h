#ifndef QKSERVE_FORMATS_NPY_HEADER_H_
#define QKSERVE_FORMATS_NPY_HEADER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "formats/reordered_reader.h"
#include "qkserve/tensor.h"

namespace qkserve {

// The header of NumPy's .npy files: magic, version and length, then a Python dictionary in text,
// padded with blanks so that the elements begin at a multiple of 64 bytes. See
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.

inline constexpr absl::string_view kNpyMagic{"\x93NUMPY", 6};

// The preamble is the magic, two bytes of version, and a length. The length has two bytes in
// version 1, otherwise four.
inline constexpr size_t kNpyPreambleBytesMax = 12;

// The largest dictionary that is read. A dictionary of the types below has about a hundred bytes.
inline constexpr int64_t kNpyHeaderBytesMax = 1 << 16;

// The most dimensions, as in NumPy 2.
inline constexpr size_t kNpyRankMax = 64;

struct NpyPreamble {
  int64_t preamble_bytes = 0;  // where the dictionary begins
  int64_t header_bytes = 0;    // how long it is, padding included
};

// Parses the beginning of a file. `start` is its first kNpyPreambleBytesMax bytes, or the whole
// file if it is shorter. INVALID_ARGUMENT: the file is not .npy or ends too early, its version is
// not 1, 2 or 3, or its header is above kNpyHeaderBytesMax.
absl::StatusOr<NpyPreamble> ParseNpyPreamble(absl::string_view start);

// The element types that are read or written here.
enum class NpyType { kFloat32, kFloat16, kBool, kInt32, kInt64 };

// Returns the name of a type in the style of the wire, for example "FLOAT32".
absl::string_view NpyTypeName(NpyType type);

// Returns the bytes of an element.
int64_t NpyElementBytes(NpyType type);

// Converts a type of .npy to a tensor's type, and the reverse. Returns nullopt if the other side
// has no such type.
std::optional<DataType> DataTypeOf(NpyType type);
std::optional<NpyType> NpyTypeOf(DataType type);

struct NpyHeader {
  NpyType type = NpyType::kFloat32;
  Shape shape;
  ElementOrder order = {};  // is_fortran only if that makes a difference
};

// Parses the dictionary. Its keys may come in any order, with any white space. INVALID_ARGUMENT:
// the text is not such a dictionary, its element type is not one of `types`, or a size does not fit
// in 64 bits. If the element type is wrong, the message advises a conversion to the first of
// `types`, but of floats to float32.
absl::StatusOr<NpyHeader> ParseNpyHeader(absl::string_view text, absl::Span<const NpyType> types);

// Makes all bytes that precede the elements in a file of version 1. The elements follow in C order
// and little-endian. INVALID_ARGUMENT: there are too many dimensions.
absl::StatusOr<std::string> FormatNpyHeader(const NpyHeader& header);

}  // namespace qkserve

#endif  // QKSERVE_FORMATS_NPY_HEADER_H_
