#ifndef QKSERVE_FORMATS_SAFETENSORS_JSON_H_
#define QKSERVE_FORMATS_SAFETENSORS_JSON_H_

#include <istream>

#include "absl/status/statusor.h"
#include "formats/safetensors.h"

namespace qkserve {

// The tensors that the JSON text of a header describes, in order of their names. Each is checked by
// itself; their places in the file are not. Reads a valid text to its end, and keeps only what it
// returns.
//
// INVALID_ARGUMENT: not such a text. Like the format's reference implementation it refuses unknown
// element types, a field of a tensor that comes twice, and anything but texts in `__metadata__`. As
// the format demands, it also refuses a tensor or a field of `__metadata__` that comes twice.
absl::StatusOr<SafetensorsEntries> ParseSafetensorsJson(std::istream& text);

// The format's name of a type, F32 for example.
const char* SafetensorsDtype(DataType type);

}  // namespace qkserve

#endif  // QKSERVE_FORMATS_SAFETENSORS_JSON_H_
